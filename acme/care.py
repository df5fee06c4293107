"""Certificates that look after themselves: run in the certbot container, as nginx' user, who has to read the keys.

`care.py` alone renews what is due, for ever, and writes down how it stands. `care.py obtain` gets a certificate for the
names in TRUSTED_HOSTS now, with `--force` even if there is a good one. `care.py install` is certbot's deploy hook.
`care.py check` is the health check: it exits with 1 when the last attempt failed.
"""

from __future__ import annotations

import fcntl
import json
import os
import shutil
import subprocess
import sys
import time
from datetime import UTC, datetime
from pathlib import Path

from cryptography import x509

HOME = Path(os.environ.get("CERTIFICATES", "/certificates"))
LIVE, WEBROOT, PAIRS = HOME / "live", HOME / "webroot", HOME / "pairs"
STATUS, METRICS = HOME / "status.json", HOME / "certificates.prom"
NAME = "site"
LINEAGE = HOME / "certbot" / "live" / NAME
CHAIN, KEY = "fullchain.pem", "privkey.pem"
OWN_CA = HOME / "acme-ca.pem"  # of an ACME server that no public authority vouches for
EVERY = float(os.environ.get("RENEW_SECONDS") or 12 * 3600)  # twice a day, as Let's Encrypt asks for
KEPT = 3  # pairs
CERTBOT_SECONDS = 600
UNKNOWN = {"names": [], "issuer": "nobody", "placeholder": False, "not_after": "1970-01-01T00:00:00Z"}
TIME = "%Y-%m-%dT%H:%M:%SZ"


def main(words: list[str]) -> int:
    """Carry out one command; return its exit code."""
    command = words[0] if words else "renew"
    if command == "install":
        install(LINEAGE)
        return 0
    if command == "check":
        return int(bool(read_status().get("error")))
    if command == "obtain":
        return note(obtain(force="--force" in words))
    while True:
        note(renew())
        time.sleep(EVERY)


def renew() -> str:
    """Renew what is due; return what went wrong. Before the first one nothing is due: names may not lead here yet."""
    if not LINEAGE.exists():
        return ""
    # certbot's own delay of some minutes spreads what starts at the same moment everywhere; this began when the
    # container did.
    return certbot("renew", "--cert-name", NAME, "--no-random-sleep-on-renew", *hook())


def obtain(*, force: bool) -> str:
    """Get a certificate for the names that the site has now; return what went wrong."""
    names = [name.strip() for name in os.environ["TRUSTED_HOSTS"].split(",") if name.strip()]
    wild = [name for name in names if name.startswith(".")]
    if wild:
        return f"TRUSTED_HOSTS: {', '.join(wild)} stands for any name below it. Give each one that needs a certificate."
    error = certbot(
        *["certonly", "--webroot", "--webroot-path", str(WEBROOT), "--cert-name", NAME, "--key-type", "ecdsa"],
        *["--force-renewal" if force else "--keep-until-expiring", "--renew-with-new-domains", "--expand"],
        *[word for name in names for word in ("--domain", name)],
        *account(),
        *hook(),
    )
    if not error:
        install(LINEAGE)  # certbot calls the hook for a new certificate only
    return error


def account() -> list[str]:
    """Return certbot's options that say who asks whom."""
    email, server = os.environ.get("ACME_EMAIL"), os.environ.get("ACME_SERVER")
    contact = ["--email", email, "--no-eff-email"] if email else ["--register-unsafely-without-email"]
    return ["--agree-tos", *contact, *(["--server", server] if server else [])]


def hook() -> list[str]:
    """Return the options by which certbot lets a new pair be put in nginx' way."""
    return ["--deploy-hook", f"{sys.executable} -B {Path(__file__).resolve()} install"]


def certbot(*words: str) -> str:
    """Run certbot; return the last lines that it printed if it failed."""
    paths = ["--config-dir", str(HOME / "certbot"), "--work-dir", "/tmp/work", "--logs-dir", "/tmp/logs"]  # noqa: S108 - a tmpfs of this container
    trust = {"REQUESTS_CA_BUNDLE": str(OWN_CA)} if OWN_CA.exists() else {}
    with (HOME / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)  # certbot refuses to be run twice at once; a renewal may be under way
        try:
            done = subprocess.run(
                ["certbot", *words, "--non-interactive", *paths],
                env={**os.environ, **trust},
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT,
                text=True,
                timeout=CERTBOT_SECONDS,
                check=False,
            )
        except subprocess.TimeoutExpired:
            return f"certbot was not done after {CERTBOT_SECONDS} s"
    lines = [line for line in done.stdout.splitlines() if line.strip(" -")]
    return "\n".join(lines[-12:]) or f"certbot ended with {done.returncode}" if done.returncode else ""


def install(lineage: Path) -> None:
    """Put a pair into a folder of its own, and let `live` lead there in one step: no key meets a foreign one."""
    chain = (lineage / CHAIN).read_bytes()
    if (LIVE / CHAIN).exists() and (LIVE / CHAIN).read_bytes() == chain:
        return
    folder = PAIRS / f"{first(chain).serial_number:x}"
    folder.mkdir(parents=True, exist_ok=True)
    for name, mode in ((CHAIN, 0o644), (KEY, 0o600)):
        shutil.copyfile(lineage / name, folder / name)
        (folder / name).chmod(mode)
    link = HOME / "live.new"
    link.unlink(missing_ok=True)
    link.symlink_to(folder.relative_to(HOME))
    link.replace(LIVE)
    older = sorted((pair for pair in PAIRS.iterdir() if pair != folder), key=lambda pair: pair.stat().st_mtime)
    for pair in older[: -KEPT + 1]:
        shutil.rmtree(pair)


def first(chain: bytes) -> x509.Certificate:
    """Return the first certificate of a chain: the site's own."""
    return x509.load_pem_x509_certificates(chain)[0]


def note(error: str) -> int:
    """Write down how it stands, for people and for Prometheus; say what went wrong; return the exit code."""
    before, now = read_status(), datetime.now(UTC).strftime(TIME)
    try:
        found = describe(first((LIVE / CHAIN).read_bytes()))
    except (OSError, ValueError) as unreadable:  # somebody put their own there
        found = {name: before.get(name, default) for name, default in UNKNOWN.items()}
        error = error or f"certificates/live/{CHAIN} is no certificate: {unreadable}"
    since = (before.get("failing_since") or now) if error else None
    put(STATUS, json.dumps({**found, "checked": now, "error": error, "failing_since": since}))
    put(METRICS, metrics(str(found["not_after"]), failing=bool(error)))
    if error:
        line = {"time": now, "level": "ERROR", "logger": "certificates", "message": error}
        print(json.dumps(line), file=sys.stderr, flush=True)  # noqa: T201 - the container's log
    return int(bool(error))


def describe(found: x509.Certificate) -> dict[str, object]:
    """Return what people want to know of a certificate."""
    names = found.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    return {
        "names": names.get_values_for_type(x509.DNSName),
        "issuer": found.issuer.rfc4514_string(),
        "placeholder": found.issuer == found.subject,
        "not_after": found.not_valid_after_utc.strftime(TIME),
    }


def metrics(not_after: str, *, failing: bool) -> str:
    """Return the lines that Prometheus reads: https://prometheus.io/docs/instrumenting/exposition_formats/."""
    end = datetime.strptime(not_after, TIME).replace(tzinfo=UTC).timestamp()
    return (
        "# HELP certificate_not_after_timestamp_seconds When the certificate that nginx is given ends.\n"
        "# TYPE certificate_not_after_timestamp_seconds gauge\n"
        f"certificate_not_after_timestamp_seconds {end:.0f}\n"
        "# HELP certificate_renewal_failing Whether the last attempt to get or renew it failed.\n"
        "# TYPE certificate_renewal_failing gauge\n"
        f"certificate_renewal_failing {int(failing)}\n"
    )


def read_status() -> dict[str, object]:
    """Return what was written down last."""
    found: dict[str, object] = json.loads(STATUS.read_text()) if STATUS.exists() else {}
    return found


def put(path: Path, text: str) -> None:
    """Put a new file in the old one's place."""
    new = path.with_name(f"{path.name}.new")
    new.write_text(text)
    new.replace(path)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
