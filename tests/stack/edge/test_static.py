"""Static files: immutable, compressed, and available to the pages of both releases."""

import gzip
import hashlib
import json
import re
from types import SimpleNamespace

import pytest

from tests.support.helpers import ROOT, wait_for
from tests.support.stack.client import is_problem
from tests.support.stack.compose import docker

IMMUTABLE = "public, max-age=31536000, immutable"
STYLE = re.compile(rb'"(/static/docs\.[0-9a-f]{12}\.css)"')
DECOMPRESS = """
import hashlib, pathlib, sys
from compression import zstd
print(hashlib.sha256(zstd.decompress(pathlib.Path(sys.argv[1]).read_bytes())).hexdigest())
"""
# A release with another stylesheet; the same script builds its bundle.
RESTYLED = (
    f"COPY <<'END' scripts/build_static.py\n{(ROOT / 'scripts/build_static.py').read_text().strip()}\nEND",
    "RUN echo 'h1 { color: teal; }' >> app/static/docs.css",
    "RUN rm -r bundle/static && python scripts/build_static.py app/static bundle/static",
)
ENCODINGS = {
    "gzip": "gzip",
    "zstd": "zstd",
    "gzip, deflate, br, zstd": "zstd",
    "zstd;q=0, gzip;q=0.5": "gzip",
    "gzip;q=0, zstd;q=0.000": None,
    "br": None,
    "*": None,
    "": None,
}


def stylesheet_path(server):
    """Return the stylesheet's path as /api/docs links it."""
    (path,) = STYLE.findall(server.request("/api/docs").body)
    return path.decode()


@pytest.fixture(scope="module")
def path(server):
    """The stylesheet's path."""
    return stylesheet_path(server)


def upstream_times(server, path):
    """Return the upstream times logged for a path; empty strings where nginx served it alone."""
    lines = server.compose("logs", "--no-color", "--no-log-prefix", "nginx").stdout.splitlines()
    entries = [json.loads(line) for line in lines if line.startswith("{")]
    return {entry["upstream_s"] for entry in entries if entry["path"] == path}


def test_the_stylesheet_name_contains_its_hash(server, path):
    """The page links to a name that contains the first digits of the content's SHA-256, and it loads."""
    response = server.request(path)
    assert (response.status, response.headers["Content-Type"]) == (200, "text/css; charset=utf-8")
    assert hashlib.sha256(response.body).hexdigest()[:12] in path


@pytest.mark.parametrize("accept_encoding", ENCODINGS)
def test_a_hashed_file_is_immutable_and_negotiated(server, path, accept_encoding):
    """A hashed file is immutable and uses the best encoding that the client accepts."""
    response = server.request(path, headers={"Accept-Encoding": accept_encoding})
    assert (response.status, response.headers["Content-Encoding"]) == (200, ENCODINGS[accept_encoding])
    assert response.headers["Content-Type"] == "text/css; charset=utf-8"
    assert (response.headers["Cache-Control"], response.headers["Vary"]) == (IMMUTABLE, "Accept-Encoding")


def test_gzip_content_matches_the_hash(server, path):
    """The gzip response decompresses to the file and is at most half its size."""
    plain, compressed = server.request(path), server.request(path, headers={"Accept-Encoding": "gzip"})
    assert gzip.decompress(compressed.body) == plain.body
    assert len(compressed.body) <= len(plain.body) / 2


def test_zstd_content_matches_the_hash(server, image, path):
    """The zstd response decompresses to the file."""
    response = server.request(path, headers={"Accept-Encoding": "zstd"})
    folder = server.folder / "static/zstd"
    assert response.body == (folder / path[1:]).read_bytes()
    arguments = (f"--volume={folder}:/compressed:ro", image, "python", "-c", DECOMPRESS, f"/compressed{path}")
    assert docker("run", "--rm", "--network=none", *arguments).stdout[:12] in path


def test_hashed_files_do_not_reach_the_application(server, path):
    """Nginx serves the hashed name itself and proxies the plain name."""
    server.request(path)
    server.request("/static/docs.css")
    wait_for(lambda: upstream_times(server, path) and upstream_times(server, "/static/docs.css"))
    assert upstream_times(server, path) <= {"", "-"}
    assert not upstream_times(server, "/static/docs.css") & {"", "-"}


@pytest.mark.parametrize(
    ("condition", "validator"), [("If-None-Match", "ETag"), ("If-Modified-Since", "Last-Modified")]
)
@pytest.mark.parametrize("encoding", ["identity", "zstd"])
def test_a_conditional_request_gets_304(server, path, condition, validator, encoding):
    """A conditional request for an unchanged file gets 304."""
    accept = {"Accept-Encoding": encoding}
    seen = server.request(path, headers=accept).headers[validator]
    response = server.request(path, headers={**accept, condition: seen})
    assert (response.status, response.body, response.headers["Cache-Control"]) == (304, b"", IMMUTABLE)


def test_the_plain_name_is_revalidated(server, path):
    """The plain name has the same content, is revalidated each time, and gets 304 when unchanged."""
    response = server.request("/static/docs.css")
    assert (response.status, response.headers["Cache-Control"]) == (200, "no-cache")
    assert response.body == server.request(path).body
    again = server.request("/static/docs.css", headers={"If-None-Match": response.headers["ETag"]})
    assert (again.status, again.body) == (304, b"")


@pytest.mark.parametrize("name", ["docs.0123456789ab.css", "gone.css", "", "../../etc/passwd.0123456789ab"])
def test_a_missing_file_is_not_cached(server, name):
    """A name that no release has gets an uncacheable problem document, because the next release may have it."""
    response = server.request(f"/static/{name}")
    assert is_problem(response, 400 if name.startswith("..") else 404)
    assert response.headers["Cache-Control"] == "no-store"


@pytest.mark.parametrize("method", ["POST", "PUT", "DELETE"])
def test_static_files_are_read_only(server, path, method):
    """Methods other than GET and HEAD get 405 for either name."""
    assert is_problem(server.request(path, method), 405)
    assert is_problem(server.request("/static/docs.css", method), 405)
    assert server.request(path, "HEAD").status == 200


@pytest.fixture(scope="module")
def restyled(server, registry, path):
    """Deploy a release with another stylesheet as a canary, promote it, roll back; return what clients saw."""
    seen = SimpleNamespace(old=path, links={}, statuses={})

    def step(name, *command, different=1):
        server.ops(*command)
        paths = seen.links[name] = {stylesheet_path(server) for _ in range(5)}
        wait_for(lambda: paths.add(stylesheet_path(server)) or len(paths) == different, seconds=20)
        seen.statuses[name] = {link: server.request(link).status for link in {path} | seen.links["canary"]}

    step("canary", "canary", registry.release("restyled", *RESTYLED), "--percent", "50", "--for", "2", different=2)
    step("promote", "promote")
    step("rollback", "rollback")
    return seen


def test_a_changed_file_has_another_name(restyled):
    """The new release links another stylesheet; a canary serves both, later only the active release's is linked."""
    (new,) = restyled.links["canary"] - {restyled.old}
    assert restyled.links == {"canary": {restyled.old, new}, "promote": {new}, "rollback": {restyled.old}}


@pytest.mark.guarantee("Pages of either release find their static files during a canary, a switch and a rollback")
@pytest.mark.parametrize("moment", ["canary", "promote", "rollback"])
def test_pages_of_either_release_find_their_files(restyled, moment):
    """A page of either release finds its stylesheet, whichever release is active."""
    assert len(restyled.statuses[moment]) == 2
    assert set(restyled.statuses[moment].values()) == {200}
