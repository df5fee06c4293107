"""Obtain and renew the site's certificate with certbot, as nginx's user, who reads the keys.

`renew.py` renews every RENEW_SECONDS, and retries what it could not obtain. `renew.py obtain [--force]` obtains a
certificate for TRUSTED_HOSTS now. certificates/live links to certbot's own folder, and nginx polls it.
"""

from __future__ import annotations

import fcntl
import os
import subprocess
import sys
import time
from collections.abc import Callable

from deploy.certbot import certificate, status
from deploy.certbot.status import HOME

CERTBOT = HOME / "certbot"
LINEAGE = CERTBOT / "live" / "site"
REQUESTED = HOME / "wanted.json"
ACME_CA = HOME / "acme-ca.pem"  # of an ACME server with a private CA
CERTBOT_TIMEOUT_S = 600


def main(argv: list[str]) -> int:
    """Run one command; return its exit code."""
    if argv[:1] == ["obtain"]:
        return run(lambda: obtain(hosts(), force="--force" in argv))
    while True:
        run(renew)
        time.sleep(status.INTERVAL_S)


def run(job: Callable[[], str]) -> int:
    """Run a job exclusively and record the outcome; return the exit code."""
    with (HOME / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)  # certbot refuses to run twice
        try:
            error = job() or certificate.find_problem(hosts()[0].lstrip("."))
        except Exception as unexpected:  # noqa: BLE001 - a restarted container would only request again, at once
            error = f"{type(unexpected).__name__}: {unexpected}"
        return status.record(certificate.describe_live(), error)


def renew() -> str:
    """Renew the certificate if it is due, or retry a failed `obtain`; return the error."""
    requested = status.read(REQUESTED).get("names", [])
    if requested and not certificate.covers(requested):
        return obtain(requested)
    if not LINEAGE.exists():
        return ""  # never requested: the names may not resolve to this server yet
    # The container's start time already spreads the load that certbot's random delay would spread.
    error = certbot("renew", "--cert-name", LINEAGE.name, "--no-random-sleep-on-renew")
    if not error:
        install()
    return error


def obtain(names: list[str], *, force: bool = False) -> str:
    """Obtain a certificate for the names and remember the request; return the error."""
    wildcards = [name for name in names if name.startswith(".")]
    if wildcards:
        return f"TRUSTED_HOSTS: {', '.join(wildcards)} matches every subdomain. List each name for the certificate."
    status.write_json(REQUESTED, {"names": names})
    error = certbot(
        *["certonly", "--webroot", "--webroot-path", str(HOME / "webroot"), "--cert-name", LINEAGE.name],
        *["--key-type", "ecdsa", "--renew-with-new-domains", "--expand", "--agree-tos"],
        *["--force-renewal" if force else "--keep-until-expiring", *account()],
        *[argument for name in names for argument in ("--domain", name)],
    )
    if error:
        return error
    install()
    return "" if certificate.covers(names) else f"certbot succeeded, but {certificate.LIVE} lacks {', '.join(names)}"


def hosts() -> list[str]:
    """Return the site's host names."""
    return [name.strip() for name in os.environ["TRUSTED_HOSTS"].split(",") if name.strip()]


def account() -> list[str]:
    """Return certbot's options for the ACME account and server."""
    email, server = os.environ.get("ACME_EMAIL"), os.environ.get("ACME_SERVER")
    contact = ["--email", email, "--no-eff-email"] if email else ["--register-unsafely-without-email"]
    return [*contact, *(["--server", server] if server else [])]


def certbot(*argv: str) -> str:
    """Run certbot; return the last lines of its output if it failed."""
    paths = ["--config-dir", str(CERTBOT), "--work-dir", "/tmp/work", "--logs-dir", "/tmp/logs"]  # noqa: S108 - tmpfs
    trust = {"REQUESTS_CA_BUNDLE": str(ACME_CA)} if ACME_CA.exists() else {}
    try:
        done = subprocess.run(
            ["certbot", *argv, "--non-interactive", *paths],
            env={**os.environ, **trust},
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            timeout=CERTBOT_TIMEOUT_S,
            check=False,
        )
    except subprocess.TimeoutExpired:
        return f"certbot timed out after {CERTBOT_TIMEOUT_S} s"
    lines = [line for line in done.stdout.splitlines() if line.strip(" -")]
    return "\n".join(lines[-12:]) or f"certbot exited with {done.returncode}" if done.returncode else ""


def install() -> None:
    """Link `live` to certbot's folder; nginx refuses a mismatched pair, so it may read one while certbot updates it."""
    for folder in (CERTBOT / "live", CERTBOT / "archive"):
        folder.chmod(0o755)  # ops reads the chain; certbot gives each key mode 600
    target = LINEAGE.relative_to(HOME)
    if not certificate.LIVE.is_symlink() or certificate.LIVE.readlink() != target:
        link = HOME / "live.new"
        link.unlink(missing_ok=True)
        link.symlink_to(target)
        link.replace(certificate.LIVE)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
