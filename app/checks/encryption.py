"""What goes to another machine over networks that others share is encrypted, and meant for that machine alone."""

import ipaddress
import socket
from collections.abc import Iterator
from urllib.parse import parse_qs, urlsplit

from sqlalchemy import URL

from .finding import Finding, failed, passed, warned
from .production import Production


def check_postgres(production: Production) -> Iterator[Finding]:
    """Look at sslmode where Postgres has an address that the whole internet could reach."""
    for name, url in production.databases.items():
        default = production.variables.get("PGSSLMODE") or "prefer"
        yield from _judged(production, name, _host(url), _postgres(name, str(url.query.get("sslmode") or default)))


def check_redis(production: Production) -> Iterator[Finding]:
    """Look at the scheme where Redis has such an address."""
    for name, url in production.redis_servers.items():
        yield from _judged(production, name, urlsplit(url).hostname or "", _redis(name, url))


def _judged(production: Production, name: str, host: str, otherwise: Finding) -> Iterator[Finding]:
    try:
        addresses = production.addresses(host) if host and not host.startswith("/") else []
    except socket.gaierror:
        yield warned(
            f"{name}: {host} has no address here, so nobody can say whether TLS is needed.", f"getent hosts {host}"
        )
        return
    if any(ipaddress.ip_address(address.partition("%")[0]).is_global for address in addresses):
        yield otherwise
    else:
        yield passed(f"{name}: {host or 'a socket'} is on this machine or a private network.")


def _host(url: URL) -> str:
    return str(url.host or url.query.get("host") or "")


def _postgres(name: str, mode: str) -> Finding:
    remedy = f"Add ?sslmode=verify-full&sslrootcert=/path/to/ca.pem to {name}."
    if mode == "verify-full":
        return passed(f"{name}: by TLS, and the server's name is checked.")
    if mode in {"require", "verify-ca"}:
        return warned(f"{name}: sslmode={mode} does not check that the server is the one that is meant.", remedy)
    return failed(f"{name}: sslmode={mode} sends passwords and rows in the clear where the server lets it.", remedy)


def _redis(name: str, url: str) -> Finding:
    parts = urlsplit(url)
    if parts.scheme != "rediss":
        return failed(f"{name}: passwords and answers go in the clear.", f"Let {name} begin with rediss://.")
    if parse_qs(parts.query).get("ssl_cert_reqs", ["required"])[-1].casefold() != "required":
        return warned(f"{name}: the server's certificate is not checked.", "Take ssl_cert_reqs out of it.")
    return passed(f"{name}: by TLS, and the server's name is checked.")
