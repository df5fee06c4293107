"""nginx, as ops uses it: what it serves, its configuration, and its doors to each colour."""

from __future__ import annotations

import http.client
import shutil
import socket
import ssl
from dataclasses import dataclass
from pathlib import Path

from ops import commands, files, serving
from ops.commands import Words
from ops.errors import Failure
from ops.progress import wait
from ops.serving import Serving
from ops.site import Site

DRAIN_SECONDS = 40  # more than worker_shutdown_timeout, after which nginx itself ends an old worker
RELOAD_SECONDS = 20
STAGED = "next"  # where a configuration lies while nginx reads it for the first time


@dataclass(frozen=True)
class Answer:
    """What came back; the status is 0 when nothing did, and the body says why."""

    status: int
    body: str

    def __str__(self) -> str:
        """Return it in one line."""
        return f"{self.status or 'no answer'} {' '.join(self.body.split())[:200]}"


def serve(site: Site, wanted: Serving) -> None:
    """Let nginx serve a colour; on a configuration that nginx refuses, the old one stays in force."""
    if site.runner.dry:
        site.runner.change(["write", str(site.serving_file), wanted.text().splitlines()[-1]])
    else:
        serving.write(site.serving_file, wanted)
    reload(site)


def in_edge(site: Site, words: Words) -> Words:
    """Return the command that runs WORDS beside nginx."""
    return commands.in_edge(site.name, *words)


def reload(site: Site) -> None:
    """Let nginx check its configuration and take it over; returns when no worker takes requests under the old one.

    The signal alone says little: nginx starts new workers first, and tells the old ones to leave a moment later.
    """
    site.runner.change(in_edge(site, commands.check_edge(commands.EDGE)))
    old = set() if site.runner.dry else workers(site)[0]
    site.runner.change(in_edge(site, commands.reload_edge()))
    if old:
        wait(lambda: _replaced(site, old), RELOAD_SECONDS, "nginx did not take its configuration over")


def workers(site: Site) -> tuple[set[str], set[str]]:
    """Return nginx' workers that take requests, and those that only end the ones that they have."""
    found, _, leaving = site.runner.look(in_edge(site, commands.workers())).partition("--")
    return set(found.split()) - set(leaving.split()), set(leaving.split())


def _replaced(site: Site, old: set[str]) -> tuple[bool | None, str]:
    left = workers(site)[0] & old
    return (None if left else True), f"{len(left)} of its workers go on under the old one"


def drain(site: Site) -> None:
    """Wait until nginx' old workers have ended the requests that they had."""
    if not site.runner.dry:
        wait(lambda: _left(site), DRAIN_SECONDS, "nginx' old workers did not end their requests")


def _left(site: Site) -> tuple[bool | None, str]:
    leaving = workers(site)[1]
    return (None if leaving else True), f"{len(leaving)} of them still there"


def install(site: Site, source: Path) -> None:
    """Make the configuration that nginx reads on its next reload, or start, that of a release.

    nginx reads it beside the old one first: with one that it refuses it could not be started again.
    """
    target, test = site.folder / "nginx", in_edge(site, commands.check_edge(f"{commands.EDGE}/{STAGED}"))
    if site.runner.dry:
        site.runner.change(["cp", "-r", f"{source}/.", str(target / STAGED)])
        site.runner.change(test)
        site.runner.change(["cp", "-r", f"{source}/.", str(target)])
        return
    if files.same(source, target):
        return
    try:
        files.mirror(source, target / STAGED)
        site.runner.change(test)
        files.mirror(source, target)
    finally:
        shutil.rmtree(target / STAGED, ignore_errors=True)


def ask(site: Site, url: str) -> Answer:
    """Request an address from beside nginx."""
    body, _, status = site.runner.tell(in_edge(site, commands.ask(url, site.host))).strip().rpartition("\n")
    return Answer(int(status), body) if status.isdigit() else Answer(0, f"{body} {status}")


def ask_outside(site: Site, path: str) -> Answer:
    """Request a path as a user does: TLS, the published port, the host's name.

    With a cookie, or nginx might answer by what it has kept, which says nothing of the release. The certificate is not
    looked at: a new server has a placeholder, and this asks whether the release serves.
    """
    connection = http.client.HTTPSConnection(site.host, timeout=5)
    try:
        connection.sock = connect_outside(site)
        connection.request("GET", path, headers={"Cookie": "asked-by=ops"})
        response = connection.getresponse()
        return Answer(response.status, response.read().decode(errors="replace"))
    except (OSError, http.client.HTTPException) as error:
        return Answer(0, f"{type(error).__name__}: {error}")
    finally:
        connection.close()


def headers_outside(site: Site, path: str, *, tls: bool = True) -> dict[str, str]:
    """Return the headers that a user gets, by TLS or in the clear; raises OSError or HTTPException."""
    connection = http.client.HTTPConnection(site.host, timeout=5)
    try:
        connection.sock = connect_outside(site) if tls else socket.create_connection(site.http, timeout=5)
        connection.request("GET", path)
        return dict(connection.getresponse().getheaders())
    finally:
        connection.close()


def connect_outside(site: Site) -> ssl.SSLSocket:
    """Connect as a user does, by TLS to the published port, whatever the certificate; raises OSError."""
    context = ssl.create_default_context()
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    return context.wrap_socket(socket.create_connection(site.https, timeout=5), server_hostname=site.host)


def certificate_outside(site: Site) -> bytes:
    """Return the certificate that users meet (DER); raises OSError."""
    with connect_outside(site) as connection:
        return connection.getpeercert(binary_form=True) or b""


def must_answer(answer: Answer, what: str) -> None:
    """Raise Failure unless the answer is 200."""
    if answer.status != 200:
        raise Failure(f"{what} answered: {answer}")
