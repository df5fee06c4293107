"""`init`: set up a server; create what is missing and never change what exists."""

from __future__ import annotations

import os
import re
import tempfile
from pathlib import Path

from ops import files
from ops.docker import commands
from ops.errors import OpsError, PreconditionError
from ops.progress import echo
from ops.release import state
from ops.release.state import Traffic
from ops.server import Server, certificates, credentials, disk

EMAIL = re.compile(r"[^@\s=]+@[^@\s=]+\.[^@\s=]+")
HOST = re.compile(r"[a-z0-9]([a-z0-9.-]*[a-z0-9])?")
PROJECT = re.compile(r"[a-z0-9][a-z0-9_-]*")
COMPOSE = (2, 24)
PAIR = ("fullchain.pem", "privkey.pem")


def init(server: Server, hosts: list[str], email: str = "") -> None:
    """Check the machine, then create missing settings, secrets, folders, the placeholder certificate and the colour.

    With an email address, also obtain a certificate.
    """
    check_machine(server)
    write_settings(server, hosts, email)
    files.make_folder(server.state / "traffic")
    files.make_folder(server.static)  # Docker would create it for root
    write_secrets(server)
    create_backup_folders(server)
    write_certificate(server)
    if not server.traffic_file.exists():
        state.write_traffic(server.traffic_file, Traffic("blue"))
        echo("  state/traffic/active-colour.conf: written")
    if email:
        obtain_certificate(server)
    echo("Ready. Next: python3 -m ops deploy IMAGE@sha256:…")


def obtain_certificate(server: Server) -> None:
    """Obtain a certificate; raises OpsError with the command to try again, as all other steps are complete."""
    try:
        certificates.certificates(server, force=False)
    except OpsError as failure:
        raise OpsError(
            f"No certificate was obtained; all else is ready.\n{failure}\n"
            "When each name resolves to this server and port 80 is open: python3 -m ops certificates"
        ) from failure


def check_machine(server: Server) -> None:
    """Raise PreconditionError without Docker, a recent Compose or disk space."""
    echo(f"  Docker {server.runner.query(commands.docker_version()).strip()}")
    version = server.runner.query(commands.compose_version()).strip()
    numbers = tuple(int(number) for number in re.findall(r"\d+", version)[:2])
    if numbers < COMPOSE:
        raise PreconditionError(f"Compose {version} is too old: {COMPOSE[0]}.{COMPOSE[1]} or newer is needed.")
    echo(f"  Compose {version}")
    echo(f"  {disk.require_free(server) / 2**30:.0f} GiB free")


def write_settings(server: Server, hosts: list[str], email: str) -> None:
    """Write .env if it is missing; raises PreconditionError without a host or a valid folder name."""
    path = server.folder / ".env"
    if path.exists():
        if email and f"ACME_EMAIL={email}" not in path.read_text(encoding="utf-8").splitlines():
            raise PreconditionError(f".env exists and is not changed. Add the line ACME_EMAIL={email} to it first.")
        echo("  .env: exists, not changed")
        return
    wrong = [host for host in hosts if not HOST.fullmatch(host)]
    if wrong or not hosts:
        raise PreconditionError(
            f"--host: {', '.join(wrong) or 'none given'}. Pass each public host name: --host shop.example"
        )
    if not PROJECT.fullmatch(server.folder.name):
        raise PreconditionError(
            f"{server.folder.name}: the folder's name becomes the project's; use only a-z, 0-9, - and _."
        )
    if email and not EMAIL.fullmatch(email):
        raise PreconditionError(f"--email: {email!r} is not an email address.")
    write_new(path, settings(server.folder.name, hosts, email), 0o600)
    echo("  .env: written")


def settings(name: str, hosts: list[str], email: str) -> str:
    """Return the settings of a new server; .env.example explains each."""
    contact = f"ACME_EMAIL={email}\n" if email else ""
    return (
        "# Settings of this server; secrets are files in secrets/.\n"
        f"COMPOSE_PROJECT_NAME={name}\n"
        "COMPOSE_FILE=docker-compose.prod.yml\n"
        f"TRUSTED_HOSTS={','.join(hosts)}\n"
        f"{contact}"
    )


def write_secrets(server: Server) -> None:
    """Write missing secrets, each readable by its user only."""
    folder = server.folder / "secrets"
    folder.mkdir(mode=0o700, exist_ok=True)
    new = credentials.missing(folder)
    for name, text in new.items():
        write_new(folder / name, text, 0o600)
    for uid, owned in credentials.OWNERS.items():
        names = [name for name in owned if (folder / name).stat().st_uid != uid]
        if names:
            server.runner.execute(commands.chown(folder, uid, names, server.nginx_image))
    echo(f"  secrets: {', '.join(new) or 'all exist'}{' written' if new else ''}")


def create_backup_folders(server: Server) -> None:
    """Create the folders of backups and of their status, owned by Postgres' user."""
    for path, mode in ((server.backups, 0o700), (server.backup_states, 0o755)):
        if not path.exists():
            path.mkdir(parents=True)
            path.chmod(mode)
        if path.stat().st_uid != credentials.SERVERS:
            server.runner.execute(commands.chown(path, credentials.SERVERS, ["."], server.nginx_image))
    echo(f"  backups: {server.backups}")


def write_certificate(server: Server) -> None:
    """Create a self-signed certificate, so that nginx can start before the first certificate."""
    live = server.certificates / "live"
    if all((live / name).exists() for name in PAIR):
        echo("  certificate: exists, not changed")
        return
    if any((live / name).exists() for name in PAIR):
        raise PreconditionError(f"{live} has only one of {' and '.join(PAIR)}. Add the other one, or remove it.")
    if server.certificates.exists() and any(server.certificates.iterdir()):
        raise PreconditionError(f"{server.certificates} has no certificate in live/ for nginx. Move it aside first.")
    made = Path(tempfile.mkdtemp(prefix="certificates-", dir=server.folder))  # renamed once it is complete
    for folder in (made, made / "webroot", made / "placeholder"):
        files.make_folder(folder)
    (made / "live").symlink_to("placeholder")
    server.runner.execute(commands.self_signed_certificate(made / "placeholder", server.host, server.nginx_image))
    server.runner.execute(commands.chown(made, credentials.EDGE, ["."], server.nginx_image))
    made.rename(server.certificates)
    echo("  certificate: a self-signed placeholder")


def write_new(path: Path, text: str, mode: int) -> None:
    """Create a file atomically, with its permissions from the start; raises FileExistsError."""
    new = path.with_name(f"{path.name}.new")
    new.unlink(missing_ok=True)
    descriptor = os.open(new, os.O_WRONLY | os.O_CREAT | os.O_EXCL, mode)
    try:
        with os.fdopen(descriptor, "w", encoding="utf-8") as file:
            file.write(text)
            file.flush()
            os.fsync(file.fileno())
        os.link(new, path)  # fails if it exists by now
    finally:
        new.unlink()
