"""`certificates`: obtain a certificate from an ACME server and wait until nginx serves it.

deploy/certbot/renew.py renews it later, in the certbot container.
"""

from __future__ import annotations

import json
import ssl
import time
from calendar import timegm
from typing import Any

from ops.docker import nginx
from ops.docker.compose import RENEW_COMMAND
from ops.errors import PreconditionError
from ops.lock import locked
from ops.progress import echo, step, wait_for
from ops.server import Server, drift

LOCK_SECONDS = 120
OBTAIN_SECONDS = 1260  # a renewal in progress and this one, ten minutes each
RELOAD_SECONDS = 60


def certificates(server: Server, *, force: bool) -> None:
    """Obtain a certificate for the server's names, unless there is a valid one, and wait until nginx serves it."""
    with locked(server.lock_file, "certificates", LOCK_SECONDS) as descriptor, step("start"):
        server.runner.inherit = (descriptor,)
        server.runner.execute(server.compose.start_stateful("nginx"), timeout=OBTAIN_SECONDS)
        require_current_nginx(server)
        server.runner.execute(server.compose.start_sidecars("certbot"), timeout=OBTAIN_SECONDS)
    with step("obtain"):  # without the lock: an authority may be slow, and a rollback must not wait for it
        argv = [*RENEW_COMMAND, "obtain", *(["--force"] if force else [])]
        server.runner.execute(server.compose.exec_in("certbot", *argv), timeout=OBTAIN_SECONDS)
    with step("reload"):
        wait_for(lambda: _is_served(server), RELOAD_SECONDS, "nginx does not serve the new certificate")
    echo(format_status(read_status(server)))


def require_current_nginx(server: Server) -> None:
    """Raise PreconditionError if nginx still runs with other host names than .env has."""
    if "nginx" in drift.changed_services(server):
        raise PreconditionError(
            "The settings of nginx, such as TRUSTED_HOSTS, have changed since it was started. Apply them first, with a "
            "short interruption: docker compose up --detach --no-deps nginx"
        )


def read_status(server: Server) -> dict[str, Any]:
    """Return the status that deploy/certbot/status.py wrote, and the days left; empty before it has run."""
    path = server.certificates / "status.json"
    if not path.exists():
        return {}
    try:
        found: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
        late = time.time() - _epoch(found["checked"]) > 2 * found["interval"] + OBTAIN_SECONDS
        return {**found, "days_left": round((_epoch(found["not_after"]) - time.time()) / 86400, 1), "late": late}
    except (OSError, ValueError, KeyError):  # truncated, for example by a full disk; the next check rewrites it
        return {}


def format_status(found: dict[str, Any]) -> str:
    """Return one line for the certificate, and one for each problem."""
    if not found:
        return "certificate: not checked yet"
    kind = "a self-signed placeholder" if found["placeholder"] else f"by {found['issuer']}"
    line = f"certificate: {', '.join(found['names'])}, {found['days_left']} days left, {kind}"
    if found["late"]:
        line += f"\n  NOT CHECKED since {found['checked']}: is certbot running?"
    if found["error"]:
        line += f"\n  FAILING since {found['failing_since']}: {' '.join(found['error'].split())[:400]}"
    return line


def _epoch(text: str) -> int:
    return timegm(time.strptime(text, "%Y-%m-%dT%H:%M:%SZ"))


def _is_served(server: Server) -> tuple[bool | None, str]:
    chain = (server.certificates / "live" / "fullchain.pem").read_text(encoding="ascii")
    end = "-----END CERTIFICATE-----\n"
    expected = ssl.PEM_cert_to_DER_cert(chain.partition(end)[0] + end)
    try:
        served = nginx.get_public_certificate(server)
    except OSError as error:
        return None, f"{type(error).__name__}: {error}"
    return (True if served == expected else None), "another certificate"
