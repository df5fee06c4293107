"""`init`: makes what a new server lacks, and never changes what is there."""

from __future__ import annotations

import os
import re
import tempfile
from pathlib import Path

from ops import certificates, check, commands, credentials, files, serving
from ops.errors import Failure, Refusal
from ops.progress import say
from ops.serving import Serving
from ops.site import Site

EMAIL = re.compile(r"[^@\s=]+@[^@\s=]+\.[^@\s=]+")
HOST = re.compile(r"[a-z0-9]([a-z0-9.-]*[a-z0-9])?")
PROJECT = re.compile(r"[a-z0-9][a-z0-9_-]*")
COMPOSE = (2, 24)
PAIR = ("fullchain.pem", "privkey.pem")


def init(site: Site, hosts: list[str], email: str = "") -> None:
    """Check the machine, then write settings, secrets, a placeholder certificate and the colour, where missing.

    With an address to write to, an ACME server is asked for a certificate as well.
    """
    check_machine(site)
    write_settings(site, hosts, email)
    files.folder(site.state / "serving")
    files.folder(site.static)  # or Docker would make it, for root alone to write to
    write_secrets(site)
    make_backup_folders(site)
    write_certificate(site)
    if not site.serving_file.exists():
        serving.write(site.serving_file, Serving("blue"))
        say("  state/serving/serving.conf: written")
    if email:
        get_certificate(site)
    say("Ready. Next: python3 -m ops deploy IMAGE@sha256:…")


def get_certificate(site: Site) -> None:
    """Get a certificate; raises Failure that says how to get one later, for all else is done."""
    try:
        certificates.certificates(site, force=False)
    except Failure as failure:
        raise Failure(
            f"There is no certificate yet; all else is ready.\n{failure}\n"
            "When each name leads to this server, on port 80: python3 -m ops certificates"
        ) from failure


def check_machine(site: Site) -> None:
    """Raise Refusal when Docker, Compose or the disk will not do."""
    say(f"  Docker {site.runner.look(commands.engine()).strip()}")
    version = site.runner.look(commands.compose_version()).strip()
    numbers = tuple(int(number) for number in re.findall(r"\d+", version)[:2])
    if numbers < COMPOSE:
        raise Refusal(f"Compose {version} is too old: {COMPOSE[0]}.{COMPOSE[1]} or newer is needed.")
    say(f"  Compose {version}")
    say(f"  {check.refuse_full_disk(site) / 2**30:.0f} GiB free")


def write_settings(site: Site, hosts: list[str], email: str) -> None:
    """Write .env if it is not there; raises Refusal when no host is named, or the folder's name will not do."""
    path = site.folder / ".env"
    if path.exists():
        if email and f"ACME_EMAIL={email}" not in path.read_text(encoding="utf-8").splitlines():
            raise Refusal(f".env is there, and is left as it is. Add the line ACME_EMAIL={email} to it first.")
        say("  .env: is there, left as it is")
        return
    wrong = [host for host in hosts if not HOST.fullmatch(host)]
    if wrong or not hosts:
        raise Refusal(f"--host: {', '.join(wrong) or 'none given'}. Name each that users ask for: --host shop.example")
    if not PROJECT.fullmatch(site.folder.name):
        raise Refusal(f"{site.folder.name}: the folder's name becomes the project's; only a-z, 0-9, - and _ will do.")
    if email and not EMAIL.fullmatch(email):
        raise Refusal(f"--email: {email!r} is no address.")
    write_new(path, settings(site.folder.name, hosts, email), 0o600)
    say("  .env: written")


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


def write_secrets(site: Site) -> None:
    """Write each secret that is missing, readable for the one user that needs it."""
    folder = site.folder / "secrets"
    folder.mkdir(mode=0o700, exist_ok=True)
    new = credentials.missing(folder)
    for name, text in new.items():
        write_new(folder / name, text, 0o600)
    for uid, owned in credentials.OWNERS.items():
        names = [name for name in owned if (folder / name).stat().st_uid != uid]
        if names:
            site.runner.change(commands.give(folder, uid, names, site.nginx_image))
    say(f"  secrets: {', '.join(new) or 'all there'}{' written' if new else ''}")


def make_backup_folders(site: Site) -> None:
    """Make the folders of backups, and of what is known of them, for the user who writes them."""
    for path, mode in ((site.backups, 0o700), (site.backup_states, 0o755)):
        if not path.exists():
            path.mkdir(parents=True)
            path.chmod(mode)
        if path.stat().st_uid != credentials.SERVERS:
            site.runner.change(commands.give(path, credentials.SERVERS, ["."], site.nginx_image))
    say(f"  backups: {site.backups}")


def write_certificate(site: Site) -> None:
    """Make a self-signed certificate, so that nginx can start before there is a real one."""
    live = site.certificates / "live"
    if all((live / name).exists() for name in PAIR):
        say("  certificate: is there, left as it is")
        return
    if any((live / name).exists() for name in PAIR):
        raise Refusal(f"{live} has only one of {' and '.join(PAIR)}. Put the other one there, or take it away.")
    if site.certificates.exists() and any(site.certificates.iterdir()):
        raise Refusal(
            f"{site.certificates} has no certificate in live/ that nginx could start with. Put it aside first."
        )
    made = Path(tempfile.mkdtemp(prefix="certificates-", dir=site.folder))  # in place when it is whole, and not before
    for folder in (made, made / "webroot", made / "placeholder"):
        files.folder(folder)
    (made / "live").symlink_to("placeholder")
    site.runner.change(commands.placeholder(made / "placeholder", site.host, site.nginx_image))
    site.runner.change(commands.give(made, credentials.EDGE, ["."], site.nginx_image))
    made.rename(site.certificates)
    say("  certificate: a self-signed placeholder")


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
