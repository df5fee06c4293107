"""nginx: traffic, configuration, reload, and requests through it."""

from __future__ import annotations

import contextlib
import http.client
import json
import shutil
import socket
import ssl
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from ops import files
from ops.docker import commands
from ops.docker.compose import Argv
from ops.errors import OpsError
from ops.progress import wait_for
from ops.release import state
from ops.release.state import Traffic
from ops.server import Server

DRAIN_SECONDS = 40  # more than worker_shutdown_timeout, after which nginx ends an old worker
RELOAD_SECONDS = 20
STAGED = "next"  # the folder where nginx tests a new configuration


@dataclass(frozen=True)
class Response:
    """An HTTP response; without one, the status is 0 and the body is the error."""

    status: int
    body: str

    def __str__(self) -> str:
        """Return it in one line."""
        return f"{self.status or 'no response'} {' '.join(self.body.split())[:200]}"

    @property
    def release(self) -> str | None:
        """The release that /health/version reports."""
        try:
            return str(json.loads(self.body)["release"]) if self.status == 200 else None
        except (ValueError, KeyError, TypeError):
            return None


def route(server: Server, traffic: Traffic) -> None:
    """Write the traffic split and reload; if nginx rejects it, the old one stays in force."""
    line = traffic.to_nginx_config().splitlines()[-1]
    server.runner.call(f"write {server.traffic_file}: {line}", state.write_traffic, server.traffic_file, traffic)
    reload(server)


def in_nginx(server: Server, argv: Argv) -> Argv:
    """Return the command that runs ARGV in the nginx container."""
    return commands.in_nginx(server.name, *argv)


def reload(server: Server) -> None:
    """Test and reload the configuration; return when no worker accepts requests under the old one.

    The signal returns too early: nginx starts the new workers first and stops the old ones a moment later.
    """
    server.runner.execute(in_nginx(server, commands.test_nginx(commands.EDGE)))
    old, _ = server.runner.call("", workers, server) or (set(), set())  # a dry run may have no nginx
    server.runner.execute(in_nginx(server, commands.reload_nginx()))
    server.runner.call("", wait_for, lambda: _replaced(server, old), RELOAD_SECONDS, "nginx did not reload")


def workers(server: Server) -> tuple[set[str], set[str]]:
    """Return the workers that accept requests, and those that only finish theirs."""
    running, _, leaving = server.runner.query(in_nginx(server, commands.list_nginx_workers())).partition("--")
    return set(running.split()) - set(leaving.split()), set(leaving.split())


def _replaced(server: Server, old: set[str]) -> tuple[bool | None, str]:
    remaining = workers(server)[0] & old
    return (None if remaining else True), f"{len(remaining)} workers run the old configuration"


def drain(server: Server) -> None:
    """Wait until the old workers have finished their requests."""
    failure = "nginx's old workers did not finish their requests"
    server.runner.call(
        "wait until nginx's old workers finish", wait_for, lambda: _drained(server), DRAIN_SECONDS, failure
    )


def _drained(server: Server) -> tuple[bool | None, str]:
    leaving = workers(server)[1]
    return (None if leaving else True), f"{len(leaving)} old workers"


def install(server: Server, source: Path) -> None:
    """Replace the configuration for the next reload or restart with a release's.

    nginx tests it in another folder first: with a rejected configuration in place, nginx could not restart.
    """
    target = server.folder / "nginx"
    if files.is_same_tree(source, target):
        return
    with _staged(server, source, target / STAGED):
        server.runner.execute(in_nginx(server, commands.test_nginx(f"{commands.EDGE}/{STAGED}")))
        server.runner.call(f"copy {source} to {target}", files.mirror, source, target)


@contextlib.contextmanager
def _staged(server: Server, source: Path, folder: Path) -> Iterator[None]:
    try:
        server.runner.call(f"copy {source} to {folder}", files.mirror, source, folder)
        yield
    finally:
        server.runner.call("", _discard, folder)


def _discard(folder: Path) -> None:
    shutil.rmtree(folder, ignore_errors=True)


def get(server: Server, url: str) -> Response:
    """Request a URL from the nginx container."""
    body, _, status = server.runner.try_run(in_nginx(server, commands.curl(url, server.host))).strip().rpartition("\n")
    return Response(int(status), body) if status.isdigit() else Response(0, f"{body} {status}")


def get_public(server: Server, path: str) -> Response:
    """Request a path as a user does: TLS, the published port, the host's name.

    The cookie bypasses nginx's cache, which would hide the release. The certificate is not verified: a new server has a
    placeholder.
    """
    connection = http.client.HTTPSConnection(server.host, timeout=5)
    try:
        connection.sock = connect_public(server)
        connection.request("GET", path, headers={"Cookie": "requested-by=ops"})
        response = connection.getresponse()
        return Response(response.status, response.read().decode(errors="replace"))
    except (OSError, http.client.HTTPException) as error:
        return Response(0, f"{type(error).__name__}: {error}")
    finally:
        connection.close()


def get_public_headers(server: Server, path: str, *, tls: bool = True) -> dict[str, str]:
    """Return the headers of a public response, over TLS or plain HTTP; raises OSError or HTTPException."""
    connection = http.client.HTTPConnection(server.host, timeout=5)
    try:
        connection.sock = connect_public(server) if tls else socket.create_connection(server.http, timeout=5)
        connection.request("GET", path)
        return dict(connection.getresponse().getheaders())
    finally:
        connection.close()


def connect_public(server: Server) -> ssl.SSLSocket:
    """Connect to the published TLS port without verifying the certificate; raises OSError."""
    context = ssl.create_default_context()
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    return context.wrap_socket(socket.create_connection(server.https, timeout=5), server_hostname=server.host)


def get_public_certificate(server: Server) -> bytes:
    """Return the certificate on the published port (DER); raises OSError."""
    with connect_public(server) as connection:
        return connection.getpeercert(binary_form=True) or b""


def require_ok(response: Response, what: str) -> None:
    """Raise OpsError unless the status is 200."""
    if response.status != 200:
        raise OpsError(f"{what} returned {response}")
