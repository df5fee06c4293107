"""The certificate in certificates/live: which names it covers, and whether nginx can serve it and does."""

from __future__ import annotations

import socket
import ssl
import time
from datetime import UTC, datetime
from typing import Any

from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding

from deploy.certbot.status import HOME, TIME_FORMAT

LIVE = HOME / "live"
CHAIN, KEY = LIVE / "fullchain.pem", LIVE / "privkey.pem"
MIN_REMAINING = 0.2  # of the lifetime: certbot renews at a third
RELOAD_TIMEOUT_S = 60


def load() -> Any:
    """Return the site's own certificate (cryptography.x509.Certificate): the first of the chain."""
    return x509.load_pem_x509_certificates(CHAIN.read_bytes())[0]


def describe(found: Any) -> dict[str, Any]:
    """Return the certificate's names, issuer and expiry."""
    try:
        names = found.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    except x509.ExtensionNotFound:
        names = None
    return {
        "names": names.get_values_for_type(x509.DNSName) if names else [],
        "issuer": found.issuer.rfc4514_string(),
        "placeholder": found.issuer == found.subject,
        "not_after": found.not_valid_after_utc.strftime(TIME_FORMAT),
    }


def describe_live() -> dict[str, Any]:
    """Describe the certificate in `live`; return nothing if it is unreadable."""
    try:
        return describe(load())
    except (OSError, ValueError):
        return {}


def covers(names: list[str]) -> bool:
    """Whether `live` has a certificate from an authority for these names."""
    found = describe_live()
    return bool(found) and not found["placeholder"] and set(names) <= set(found["names"])


def find_problem(host: str) -> str:
    """Return what is wrong with the certificate in `live`, if anything is."""
    try:
        found = load()
        ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER).load_cert_chain(CHAIN, KEY)
    except (OSError, ValueError) as error:  # ssl.SSLError is an OSError
        return f"{LIVE} has no certificate and key that nginx can load: {error}"
    lifetime = found.not_valid_after_utc - found.not_valid_before_utc
    if found.not_valid_after_utc - datetime.now(UTC) < MIN_REMAINING * lifetime:
        return f"the certificate expires at {found.not_valid_after_utc.strftime(TIME_FORMAT)} and was not renewed"
    return not_served(host, found.public_bytes(Encoding.DER))


def not_served(host: str, expected: bytes) -> str:
    """Return an error if nginx still serves another certificate (DER) after a while."""
    deadline = time.monotonic() + RELOAD_TIMEOUT_S
    context = ssl.create_default_context()
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    while True:
        try:
            with (
                socket.create_connection(("nginx", 8443), timeout=5) as plain,
                context.wrap_socket(plain, server_hostname=host) as connection,
            ):
                served = connection.getpeercert(binary_form=True)
        except OSError:
            return ""  # nginx is down or starting: its own health check reports that
        if served == expected:
            return ""
        if time.monotonic() > deadline:
            return f"nginx does not load the certificate in {LIVE}; its log has the reason"
        time.sleep(1)
