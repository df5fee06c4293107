"""Users are kept to TLS: plain HTTP leads there, and browsers are told to stay."""

from __future__ import annotations

import http.client
from collections.abc import Iterator

from ops.docker import nginx
from ops.server import Server
from ops.server.checks.finding import Finding, failed, passed, warned

PATH = "/health"


def check(server: Server) -> Iterator[Finding]:
    """Ask as a user does, in the clear and by TLS."""
    try:
        plain, secure = nginx.get_public_headers(server, PATH, tls=False), nginx.get_public_headers(server, PATH)
    except (OSError, http.client.HTTPException) as error:
        yield failed(f"nginx does not answer: {type(error).__name__}: {error}.", "python3 -m ops logs nginx")
        return
    if not plain.get("Location", "").startswith("https://"):
        yield failed("plain HTTP does not lead to HTTPS.", "Is it this bundle's nginx that answers? docker compose ps")
    if "Strict-Transport-Security" not in secure:
        yield warned(
            "HTTPS does not tell browsers to stay (Strict-Transport-Security).", "HSTS in .env (docs/edge.md)."
        )
    else:
        yield from [passed("plain HTTP leads to HTTPS, and browsers are told to stay there.")] * ("Location" in plain)
