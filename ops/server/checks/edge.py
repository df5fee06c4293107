"""Check that users reach the site over HTTPS only."""

from __future__ import annotations

import http.client
from collections.abc import Iterator

from ops.docker import nginx
from ops.server import Server
from ops.server.checks.finding import Finding, failed, passed, warned

PATH = "/health"


def check(server: Server) -> Iterator[Finding]:
    """Request the site over HTTP and HTTPS, as a user does."""
    try:
        plain, secure = nginx.get_public_headers(server, PATH, tls=False), nginx.get_public_headers(server, PATH)
    except (OSError, http.client.HTTPException) as error:
        yield failed(f"nginx does not respond: {type(error).__name__}: {error}.", "python3 -m ops logs nginx")
        return
    if not plain.get("Location", "").startswith("https://"):
        yield failed("HTTP does not redirect to HTTPS.", "Does this bundle's nginx respond? docker compose ps")
    if "Strict-Transport-Security" not in secure:
        yield warned("HTTPS responses have no Strict-Transport-Security.", "HSTS in .env (docs/edge.md).")
    elif "Location" in plain:
        yield passed("HTTP redirects to HTTPS, whose responses have Strict-Transport-Security.")
