"""`init`: makes what a new server lacks, and never changes what is there."""

from __future__ import annotations

import os
import re
import tempfile
from pathlib import Path

from ops import files
from ops.docker import commands
from ops.errors import OpsError, PreconditionError
from ops.progress import echo
from ops.release import preflight, traffic
from ops.release.traffic import Traffic
from ops.server import Server, certificates, credentials

EMAIL = re.compile(r"[^@\s=]+@[^@\s=]+\.[^@\s=]+")
HOST = re.compile(r"[a-z0-9]([a-z0-9.-]*[a-z0-9])?")
PROJECT = re.compile(r"[a-z0-9][a-z0-9_-]*")
COMPOSE = (2, 24)
PAIR = ("fullchain.pem", "privkey.pem")


def init(server: Server, hosts: list[str], email: str = "") -> None:
    """Check the machine, then write settings, secrets, a placeholder certificate and the colour, where missing.

    With an address to write to, an ACME server is asked for a certificate as well.
    """
    check_machine(server)
    write_settings(server, hosts, email)
    files.folder(server.state / "traffic")
    files.folder(server.static)  # or Docker would make it, for root alone to write to
    write_secrets(server)
    make_backup_folders(server)
    write_certificate(server)
    if not server.traffic_file.exists():
        traffic.write(server.traffic_file, Traffic("blue"))
        echo("  state/traffic/active-colour.conf: written")
    if email:
        get_certificate(server)
    echo("Ready. Next: python3 -m ops deploy IMAGE@sha256:…")


def get_certificate(server: Server) -> None:
    """Get a certificate; raises OpsError that says how to get one later, for all else is done."""
    try:
        certificates.certificates(server, force=False)
    except OpsError as failure:
        raise OpsError(
            f"There is no certificate yet; all else is ready.\n{failure}\n"
            "When each name leads to this server, on port 80: python3 -m ops certificates"
        ) from failure


def check_machine(server: Server) -> None:
    """Raise PreconditionError when Docker, Compose or the disk will not do."""
    echo(f"  Docker {server.runner.query(commands.engine()).strip()}")
    version = server.runner.query(commands.compose_version()).strip()
    numbers = tuple(int(number) for number in re.findall(r"\d+", version)[:2])
    if numbers < COMPOSE:
        raise PreconditionError(f"Compose {version} is too old: {COMPOSE[0]}.{COMPOSE[1]} or newer is needed.")
    echo(f"  Compose {version}")
    echo(f"  {preflight.refuse_full_disk(server) / 2**30:.0f} GiB free")


def write_settings(server: Server, hosts: list[str], email: str) -> None:
    """Write .env if it is missing; raises PreconditionError without a host or a valid folder name."""
    path = server.folder / ".env"
    if path.exists():
        if email and f"ACME_EMAIL={email}" not in path.read_text(encoding="utf-8").splitlines():
            raise PreconditionError(
                f".env is there, and is left as it is. Add the line ACME_EMAIL={email} to it first."
            )
        echo("  .env: is there, left as it is")
        return
    wrong = [host for host in hosts if not HOST.fullmatch(host)]
    if wrong or not hosts:
        raise PreconditionError(
            f"--host: {', '.join(wrong) or 'none given'}. Name each that users ask for: --host shop.example"
        )
    if not PROJECT.fullmatch(server.folder.name):
        raise PreconditionError(
            f"{server.folder.name}: the folder's name becomes the project's; only a-z, 0-9, - and _ will do."
        )
    if email and not EMAIL.fullmatch(email):
        raise PreconditionError(f"--email: {email!r} is no address.")
    write_new(path, settings(server.folder.name, hosts, email), 0o600)
    echo("  .env: written")


def settings(name: str, hosts: list[str], email: str) -> str:
    """Return the settings of a new server; .env.example explains each."""
    mail = f"ACME_EMAIL={email}\n" if email else ""
    return (
        "# Settings of this server; secrets are files in secrets/.\n"
        f"COMPOSE_PROJECT_NAME={name}\n"
        "COMPOSE_FILE=docker-compose.prod.yml\n"
        f"TRUSTED_HOSTS={','.join(hosts)}\n"
        f"{mail}"
    )


def write_secrets(server: Server) -> None:
    """Write each secret that is missing, readable for the one user that needs it."""
    folder = server.folder / "secrets"
    folder.mkdir(mode=0o700, exist_ok=True)
    new = credentials.missing(folder)
    for name, text in new.items():
        write_new(folder / name, text, 0o600)
    for uid, owned in credentials.OWNERS.items():
        names = [name for name in owned if (folder / name).stat().st_uid != uid]
        if names:
            server.runner.execute(commands.give(folder, uid, names, server.nginx_image))
    echo(f"  secrets: {', '.join(new) or 'all there'}{' written' if new else ''}")


def make_backup_folders(server: Server) -> None:
    """Make the folders of backups, and of what is known of them, for the user who writes them."""
    for path, mode in ((server.backups, 0o700), (server.backup_states, 0o755)):
        if not path.exists():
            path.mkdir(parents=True)
            path.chmod(mode)
        if path.stat().st_uid != credentials.SERVERS:
            server.runner.execute(commands.give(path, credentials.SERVERS, ["."], server.nginx_image))
    echo(f"  backups: {server.backups}")


def write_certificate(server: Server) -> None:
    """Make a self-signed certificate, so that nginx can start before there is a real one."""
    live = server.certificates / "live"
    if all((live / name).exists() for name in PAIR):
        echo("  certificate: is there, left as it is")
        return
    if any((live / name).exists() for name in PAIR):
        raise PreconditionError(
            f"{live} has only one of {' and '.join(PAIR)}. Put the other one there, or take it away."
        )
    if server.certificates.exists() and any(server.certificates.iterdir()):
        raise PreconditionError(
            f"{server.certificates} has no certificate in live/ that nginx could start with. Put it aside first."
        )
    made = Path(
        tempfile.mkdtemp(prefix="certificates-", dir=server.folder)
    )  # in place when it is whole, and not before
    for folder in (made, made / "webroot", made / "placeholder"):
        files.folder(folder)
    (made / "live").symlink_to("placeholder")
    server.runner.execute(commands.placeholder(made / "placeholder", server.host, server.nginx_image))
    server.runner.execute(commands.give(made, credentials.EDGE, ["."], server.nginx_image))
    made.rename(server.certificates)
    echo("  certificate: a self-signed placeholder")


def write_new(path: Path, text: str, mode: int) -> None:
    """Write a file that must not be there yet: whole or not at all, with its rights from the first byte on."""
    new = path.with_name(f"{path.name}.new")
    new.unlink(missing_ok=True)
    descriptor = os.open(new, os.O_WRONLY | os.O_CREAT | os.O_EXCL, mode)
    try:
        with os.fdopen(descriptor, "w", encoding="utf-8") as file:
            file.write(text)
            file.flush()
            os.fsync(file.fileno())
        os.link(new, path)  # fails if somebody else has made it meanwhile
    finally:
        new.unlink()
