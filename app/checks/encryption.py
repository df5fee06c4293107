"""Check that connections over public networks are encrypted and verify the server's name."""

import ipaddress
import socket
from collections.abc import Iterator
from urllib.parse import parse_qs, urlsplit

from sqlalchemy import URL

from .context import CheckContext
from .finding import Finding, failed, passed, warned


def check_postgres(context: CheckContext) -> Iterator[Finding]:
    """Check sslmode where Postgres has a public address."""
    for name, url in context.databases.items():
        default = context.variables.get("PGSSLMODE") or "prefer"
        encrypted = _check_sslmode(name, str(url.query.get("sslmode") or default))
        yield from _check(context, name, _host(url), encrypted)


def check_redis(context: CheckContext) -> Iterator[Finding]:
    """Check the scheme where Redis has a public address."""
    for name, url in context.redis_servers.items():
        yield from _check(context, name, urlsplit(url).hostname or "", _check_redis_url(name, url))


def _check(context: CheckContext, name: str, host: str, if_public: Finding) -> Iterator[Finding]:
    try:
        addresses = context.addresses(host) if host and not host.startswith("/") else []
    except socket.gaierror:
        yield warned(f"{name}: cannot resolve {host}, so it is unknown whether TLS is needed.", f"getent hosts {host}")
        return
    if any(ipaddress.ip_address(address.partition("%")[0]).is_global for address in addresses):
        yield if_public
    else:
        yield passed(f"{name}: {host or 'a socket'} is on this machine or a private network.")


def _host(url: URL) -> str:
    return str(url.host or url.query.get("host") or "")


def _check_sslmode(name: str, mode: str) -> Finding:
    remedy = f"Add ?sslmode=verify-full&sslrootcert=/path/to/ca.pem to {name}."
    if mode == "verify-full":
        return passed(f"{name}: uses TLS and verifies the server's name.")
    if mode in {"require", "verify-ca"}:
        return warned(f"{name}: sslmode={mode} does not verify the server's name.", remedy)
    return failed(f"{name}: sslmode={mode} allows unencrypted passwords and rows.", remedy)


def _check_redis_url(name: str, url: str) -> Finding:
    parts = urlsplit(url)
    if parts.scheme != "rediss":
        return failed(f"{name}: passwords and data are not encrypted.", f"Start {name} with rediss://.")
    if parse_qs(parts.query).get("ssl_cert_reqs", ["required"])[-1].casefold() != "required":
        return warned(f"{name}: the server's certificate is not verified.", "Remove ssl_cert_reqs from it.")
    return passed(f"{name}: uses TLS and verifies the server's name.")
