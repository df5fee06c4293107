"""`certificates`: gets one from an ACME server, such as Let's Encrypt, and sees that users meet it.

deploy/certbot/care.py, in the certbot container, renews it later; nginx takes it up by itself.
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
from ops.release import preflight
from ops.server import Server

LOCK_SECONDS = 120
OBTAIN_SECONDS = 1260  # a renewal may be under way, and each may take ten minutes
TAKEN_UP_SECONDS = 60


def certificates(server: Server, *, force: bool) -> None:
    """Get a certificate for the server's names, unless there is a good one, and wait until users meet it."""
    with locked(server.lock_file, "certificates", LOCK_SECONDS) as descriptor, step("start"):
        server.runner.inherit = (descriptor,)
        server.runner.execute(server.compose.start_stateful("nginx"), timeout=OBTAIN_SECONDS)
        refuse_old_edge(server)
        server.runner.execute(server.compose.start_sidecars("certbot"), timeout=OBTAIN_SECONDS)
    with step("obtain"):  # without the lock: an authority may be slow, and a rollback must not wait for it
        argv = [*RENEW_COMMAND, "obtain", *(["--force"] if force else [])]
        server.runner.execute(server.compose.exec_in("certbot", *argv), timeout=OBTAIN_SECONDS)
    with step("taken up"):
        wait_for(lambda: _met(server), TAKEN_UP_SECONDS, "Users do not meet the new certificate")
    echo(text(look(server)))


def refuse_old_edge(server: Server) -> None:
    """Raise PreconditionError if nginx still runs with other host names than .env has."""
    if "nginx" in preflight.changed_services(server):
        raise PreconditionError(
            "The settings of nginx, such as TRUSTED_HOSTS, have changed since it was started. Apply them first, with a "
            "short break: docker compose up --detach --no-deps nginx"
        )


def look(server: Server) -> dict[str, Any]:
    """Return what deploy/certbot/care.py has written down, and the days left; empty before it has run."""
    path = server.certificates / "status.json"
    if not path.exists():
        return {}
    try:
        found: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
        late = time.time() - _epoch(found["checked"]) > 2 * found["every"] + OBTAIN_SECONDS
        return {**found, "days_left": round((_epoch(found["not_after"]) - time.time()) / 86400, 1), "late": late}
    except (OSError, ValueError, KeyError):  # cut short, as by a full disk; the next look writes it anew
        return {}


def text(found: dict[str, Any]) -> str:
    """Return it for people, in a line or, where something is wrong, with what."""
    if not found:
        return "certificate: nothing is known of it yet"
    kind = "a self-signed placeholder" if found["placeholder"] else f"by {found['issuer']}"
    line = f"certificate: {', '.join(found['names'])}, {found['days_left']} days left, {kind}"
    if found["late"]:
        line += f"\n  NOBODY HAS LOOKED AT IT since {found['checked']}: is certbot running?"
    if found["error"]:
        line += f"\n  IT FAILS since {found['failing_since']}: {' '.join(found['error'].split())[:400]}"
    return line


def _epoch(moment: str) -> int:
    return timegm(time.strptime(moment, "%Y-%m-%dT%H:%M:%SZ"))


def _met(server: Server) -> tuple[bool | None, str]:
    chain = (server.certificates / "live" / "fullchain.pem").read_text(encoding="ascii")
    end = "-----END CERTIFICATE-----\n"
    wanted = ssl.PEM_cert_to_DER_cert(chain.partition(end)[0] + end)
    try:
        met = nginx.get_public_certificate(server)
    except OSError as error:
        return None, f"{type(error).__name__}: {error}"
    return (True if met == wanted else None), "another certificate"
