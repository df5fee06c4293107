"""Certificates that look after themselves: run in the certbot container, as nginx' user, who has to read the keys.

`care.py` alone looks twice a day, for ever: it renews what is due, asks again for what could not be had, and writes
down how it stands. `care.py obtain` gets a certificate for the names in TRUSTED_HOSTS now, with `--force` even if there
is a good one. `care.py check` is the health check: it exits with 1 when something is wrong, or nobody has looked.
"""

from __future__ import annotations

import fcntl
import json
import os
import shutil
import socket
import ssl
import subprocess
import sys
import time
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

HOME = Path(os.environ.get("CERTIFICATES", "/certificates"))
LIVE, WEBROOT, PAIRS = HOME / "live", HOME / "webroot", HOME / "pairs"
STATUS, METRICS, WANTED = HOME / "status.json", HOME / "certificates.prom", HOME / "wanted.json"
NAME = "site"
LINEAGE = HOME / "certbot" / "live" / NAME
CHAIN, KEY = "fullchain.pem", "privkey.pem"
OWN_CA = HOME / "acme-ca.pem"  # of an ACME server that no public authority vouches for
EVERY = max(1.0, float(os.environ.get("RENEW_SECONDS") or 12 * 3600))  # twice a day, as Let's Encrypt asks for
LATE = 0.2  # of its time is left: certbot renews when a third is
KEPT = 3  # pairs
CERTBOT_SECONDS = 600
TAKEN_UP_SECONDS = 60
TIME = "%Y-%m-%dT%H:%M:%SZ"


def main(words: list[str]) -> int:
    """Carry out one command; return its exit code."""
    if words[:1] == ["check"]:
        return int(is_ill(read(STATUS)))
    if words[:1] == ["obtain"]:
        return look(lambda: obtain(hosts(), force="--force" in words))
    while True:
        look(care)
        time.sleep(EVERY)


def look(work: Any) -> int:
    """Do some work, alone, and write down how it stands then, whatever happens; return the exit code."""
    with (HOME / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)  # certbot refuses to be run twice at once
        try:
            error = work() or fault()
        except Exception as unforeseen:  # noqa: BLE001 - a process that ends would only begin again, and ask again
            error = f"{type(unforeseen).__name__}: {unforeseen}"
        return note(error)


def care() -> str:
    """Renew what is due, or ask again for what could not be had; return what went wrong."""
    wanted = read(WANTED).get("names", [])
    if wanted and not covers(wanted):
        return obtain(wanted)
    if not LINEAGE.exists():
        return ""  # nobody has asked for a certificate: the names may not lead here yet
    # certbot's own delay of some minutes spreads what starts at the same moment everywhere; this began when the
    # container did.
    error = certbot("renew", "--cert-name", NAME, "--no-random-sleep-on-renew")
    if not error:
        install(LINEAGE)
    return error


def hosts() -> list[str]:
    """Return the names that the site has now."""
    return [name.strip() for name in os.environ["TRUSTED_HOSTS"].split(",") if name.strip()]


def obtain(names: list[str], *, force: bool = False) -> str:
    """Get a certificate for these names, and remember that it was wanted; return what went wrong."""
    wild = [name for name in names if name.startswith(".")]
    if wild:
        return f"TRUSTED_HOSTS: {', '.join(wild)} stands for any name below it. Give each one that needs a certificate."
    put(WANTED, json.dumps({"names": names}))
    error = certbot(
        *["certonly", "--webroot", "--webroot-path", str(WEBROOT), "--cert-name", NAME, "--key-type", "ecdsa"],
        *["--force-renewal" if force else "--keep-until-expiring", "--renew-with-new-domains", "--expand"],
        *[word for name in names for word in ("--domain", name)],
        *account(),
    )
    if error:
        return error
    install(LINEAGE)
    return "" if covers(names) else f"certbot says that all is well, but {LIVE} is not for {', '.join(names)}"


def account() -> list[str]:
    """Return certbot's options that say who asks whom."""
    email, server = os.environ.get("ACME_EMAIL"), os.environ.get("ACME_SERVER")
    contact = ["--email", email, "--no-eff-email"] if email else ["--register-unsafely-without-email"]
    return ["--agree-tos", *contact, *(["--server", server] if server else [])]


def certbot(*words: str) -> str:
    """Run certbot; return the last lines that it printed if it failed."""
    paths = ["--config-dir", str(HOME / "certbot"), "--work-dir", "/tmp/work", "--logs-dir", "/tmp/logs"]  # noqa: S108 - a tmpfs of this container
    trust = {"REQUESTS_CA_BUNDLE": str(OWN_CA)} if OWN_CA.exists() else {}
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
    before = os.umask(0o077)  # nobody else may read the key, at no moment
    try:
        for name in (CHAIN, KEY):
            shutil.copyfile(lineage / name, folder / name)
    finally:
        os.umask(before)
    (folder / CHAIN).chmod(0o644)
    link = HOME / "live.new"
    link.unlink(missing_ok=True)
    link.symlink_to(folder.relative_to(HOME))
    link.replace(LIVE)
    older = sorted((pair for pair in PAIRS.iterdir() if pair != folder), key=lambda pair: pair.stat().st_mtime)
    for pair in older[: -KEPT + 1]:
        shutil.rmtree(pair)


def first(chain: bytes) -> Any:
    """Return the first certificate of a chain (cryptography.x509.Certificate): the site's own."""
    from cryptography import x509  # noqa: PLC0415 - half a second that the health check does without

    return x509.load_pem_x509_certificates(chain)[0]


def describe(found: Any) -> dict[str, Any]:
    """Return what people want to know of a certificate."""
    from cryptography import x509  # noqa: PLC0415 - likewise

    try:
        names = found.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    except x509.ExtensionNotFound:
        names = None
    return {
        "names": names.get_values_for_type(x509.DNSName) if names else [],
        "issuer": found.issuer.rfc4514_string(),
        "placeholder": found.issuer == found.subject,
        "not_after": found.not_valid_after_utc.strftime(TIME),
    }


def covers(names: list[str]) -> bool:
    """Whether what nginx is given is for these names, by somebody who vouches for them."""
    try:
        known = describe(first((LIVE / CHAIN).read_bytes()))
    except (OSError, ValueError):
        return False
    return not known["placeholder"] and set(names) <= set(known["names"])


def fault() -> str:
    """Return what is wrong with what nginx is given and what users meet, if anything is."""
    try:
        chain = (LIVE / CHAIN).read_bytes()
        found = first(chain)
        ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER).load_cert_chain(LIVE / CHAIN, LIVE / KEY)
    except (OSError, ValueError) as error:  # ssl.SSLError is an OSError
        return f"{LIVE} has no certificate with its key that nginx could use: {error}"
    lifetime = found.not_valid_after_utc - found.not_valid_before_utc
    left = found.not_valid_after_utc - datetime.now(UTC)
    if left < LATE * lifetime:
        return f"the certificate ends at {found.not_valid_after_utc.strftime(TIME)}, and nothing has renewed it"
    return not_met(
        ssl.PEM_cert_to_DER_cert(chain.decode("ascii").partition("-----END")[0] + "-----END CERTIFICATE-----\n")
    )


def not_met(wanted: bytes) -> str:
    """Return that users meet another certificate than this one (DER), if they still do after a while."""
    deadline = time.monotonic() + TAKEN_UP_SECONDS
    context = ssl.create_default_context()
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    while True:
        try:
            with (
                socket.create_connection(("nginx", 8443), timeout=5) as plain,
                context.wrap_socket(plain, server_hostname=hosts()[0].lstrip(".")) as connection,
            ):
                met = connection.getpeercert(binary_form=True)
        except OSError:
            return ""  # nginx is away, or being started: others say so
        if met == wanted:
            return ""
        if time.monotonic() > deadline:
            return f"nginx does not take up what is in {LIVE}; its log says why"
        time.sleep(1)


def note(error: str) -> int:
    """Write down how it stands, for people and for Prometheus; say what is wrong; return the exit code."""
    before, now = read(STATUS), datetime.now(UTC).strftime(TIME)
    try:
        found = describe(first((LIVE / CHAIN).read_bytes()))
    except (OSError, ValueError):
        unknown = {"names": [], "issuer": "nobody", "placeholder": False, "not_after": "1970-01-01T00:00:00Z"}
        found = {name: before.get(name, value) for name, value in unknown.items()}
    since = (before.get("failing_since") or now) if error else None
    if error:
        line = {"time": now, "level": "ERROR", "logger": "certificates", "message": error}
        print(json.dumps(line), file=sys.stderr, flush=True)  # noqa: T201 - the container's log
    try:
        put(STATUS, json.dumps({**found, "checked": now, "every": EVERY, "error": error, "failing_since": since}))
        put(METRICS, metrics(found["not_after"], now, failing=bool(error)))
    except OSError as full:
        print(f"cannot be written down: {full}", file=sys.stderr, flush=True)  # noqa: T201
        return 1
    return int(bool(error))


def metrics(not_after: str, checked: str, *, failing: bool) -> str:
    """Return the lines that Prometheus reads: https://prometheus.io/docs/instrumenting/exposition_formats/."""
    lines = {
        "certificate_not_after_timestamp_seconds": ("When the certificate that nginx is given ends.", epoch(not_after)),
        "certificate_renewal_failing": (
            "Whether it could not be had or renewed, or is not met by users.",
            int(failing),
        ),
        "certificate_last_check_timestamp_seconds": ("When that was looked at last.", epoch(checked)),
    }
    return "".join(
        f"# HELP {name} {meaning}\n# TYPE {name} gauge\n{name} {value}\n" for name, (meaning, value) in lines.items()
    )


def is_ill(status: dict[str, Any]) -> bool:
    """Whether something is wrong, or nobody has looked for two rounds."""
    late = status and time.time() - epoch(status["checked"]) > 2 * EVERY + 2 * CERTBOT_SECONDS
    return bool(status.get("error") or late)


def epoch(moment: str) -> int:
    """Return a moment as Unix time."""
    return int(datetime.strptime(moment, TIME).replace(tzinfo=UTC).timestamp())


def read(path: Path) -> dict[str, Any]:
    """Return what was written down; nothing where that was lost."""
    try:
        found: dict[str, Any] = json.loads(path.read_text())
    except (OSError, ValueError):
        return {}
    return found


def put(path: Path, text: str) -> None:
    """Put a new file in the old one's place."""
    new = path.with_name(f"{path.name}.new")
    new.write_text(text)
    new.replace(path)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
