"""nginx, as ops uses it: what it serves, its configuration, and its doors to each colour."""

from __future__ import annotations

import http.client
import shutil
import socket
import ssl
from dataclasses import dataclass
from pathlib import Path

from ops import files
from ops.docker import commands
from ops.docker.compose import Argv
from ops.errors import OpsError
from ops.progress import wait_for
from ops.release import traffic
from ops.release.traffic import Traffic
from ops.server import Server

DRAIN_SECONDS = 40  # more than worker_shutdown_timeout, after which nginx itself ends an old worker
RELOAD_SECONDS = 20
STAGED = "next"  # where a configuration lies while nginx reads it for the first time


@dataclass(frozen=True)
class Response:
    """What came back; the status is 0 when nothing did, and the body says why."""

    status: int
    body: str

    def __str__(self) -> str:
        """Return it in one line."""
        return f"{self.status or 'no answer'} {' '.join(self.body.split())[:200]}"


def route(server: Server, wanted: Traffic) -> None:
    """Let nginx serve a colour; on a configuration that nginx refuses, the old one stays in force."""
    if server.runner.dry:
        server.runner.execute(["write", str(server.traffic_file), wanted.text().splitlines()[-1]])
    else:
        traffic.write(server.traffic_file, wanted)
    reload(server)


def in_nginx(server: Server, argv: Argv) -> Argv:
    """Return the command that runs ARGV beside nginx."""
    return commands.in_nginx(server.name, *argv)


def reload(server: Server) -> None:
    """Let nginx check its configuration and take it over; returns when no worker takes requests under the old one.

    The signal alone says little: nginx starts new workers first, and tells the old ones to leave a moment later.
    """
    server.runner.execute(in_nginx(server, commands.test_nginx(commands.EDGE)))
    old = set() if server.runner.dry else workers(server)[0]
    server.runner.execute(in_nginx(server, commands.reload_nginx()))
    if old:
        wait_for(lambda: _replaced(server, old), RELOAD_SECONDS, "nginx did not take its configuration over")


def workers(server: Server) -> tuple[set[str], set[str]]:
    """Return nginx' workers that take requests, and those that only end the ones that they have."""
    found, _, leaving = server.runner.query(in_nginx(server, commands.workers())).partition("--")
    return set(found.split()) - set(leaving.split()), set(leaving.split())


def _replaced(server: Server, old: set[str]) -> tuple[bool | None, str]:
    left = workers(server)[0] & old
    return (None if left else True), f"{len(left)} of its workers go on under the old one"


def drain(server: Server) -> None:
    """Wait until nginx' old workers have ended the requests that they had."""
    if not server.runner.dry:
        wait_for(lambda: _left(server), DRAIN_SECONDS, "nginx' old workers did not end their requests")


def _left(server: Server) -> tuple[bool | None, str]:
    leaving = workers(server)[1]
    return (None if leaving else True), f"{len(leaving)} of them still there"


def install(server: Server, source: Path) -> None:
    """Make the configuration that nginx reads on its next reload, or start, that of a release.

    nginx reads it beside the old one first: with one that it refuses it could not be started again.
    """
    target, test = server.folder / "nginx", in_nginx(server, commands.test_nginx(f"{commands.EDGE}/{STAGED}"))
    if server.runner.dry:
        server.runner.execute(["cp", "-r", f"{source}/.", str(target / STAGED)])
        server.runner.execute(test)
        server.runner.execute(["cp", "-r", f"{source}/.", str(target)])
        return
    if files.same(source, target):
        return
    try:
        files.mirror(source, target / STAGED)
        server.runner.execute(test)
        files.mirror(source, target)
    finally:
        shutil.rmtree(target / STAGED, ignore_errors=True)


def get(server: Server, url: str) -> Response:
    """Request an address from beside nginx."""
    body, _, status = server.runner.try_run(in_nginx(server, commands.curl(url, server.host))).strip().rpartition("\n")
    return Response(int(status), body) if status.isdigit() else Response(0, f"{body} {status}")


def get_public(server: Server, path: str) -> Response:
    """Request a path as a user does: TLS, the published port, the host's name.

    With a cookie, or nginx might answer by what it has kept, which says nothing of the release. The certificate is not
    looked at: a new server has a placeholder, and this asks whether the release serves.
    """
    connection = http.client.HTTPSConnection(server.host, timeout=5)
    try:
        connection.sock = connect_public(server)
        connection.request("GET", path, headers={"Cookie": "asked-by=ops"})
        response = connection.getresponse()
        return Response(response.status, response.read().decode(errors="replace"))
    except (OSError, http.client.HTTPException) as error:
        return Response(0, f"{type(error).__name__}: {error}")
    finally:
        connection.close()


def get_public_headers(server: Server, path: str, *, tls: bool = True) -> dict[str, str]:
    """Return the headers that a user gets, by TLS or in the clear; raises OSError or HTTPException."""
    connection = http.client.HTTPConnection(server.host, timeout=5)
    try:
        connection.sock = connect_public(server) if tls else socket.create_connection(server.http, timeout=5)
        connection.request("GET", path)
        return dict(connection.getresponse().getheaders())
    finally:
        connection.close()


def connect_public(server: Server) -> ssl.SSLSocket:
    """Connect as a user does, by TLS to the published port, whatever the certificate; raises OSError."""
    context = ssl.create_default_context()
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    return context.wrap_socket(socket.create_connection(server.https, timeout=5), server_hostname=server.host)


def get_public_certificate(server: Server) -> bytes:
    """Return the certificate that users meet (DER); raises OSError."""
    with connect_public(server) as connection:
        return connection.getpeercert(binary_form=True) or b""


def require_ok(response: Response, what: str) -> None:
    """Raise OpsError unless the answer is 200."""
    if response.status != 200:
        raise OpsError(f"{what} answered: {response}")
