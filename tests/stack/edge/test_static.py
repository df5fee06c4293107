"""Static files as users get them: kept for ever by their names, small, and there for the pages of both releases."""

import gzip
import hashlib
import json
import re
from types import SimpleNamespace

import pytest

from tests.support.helpers import ROOT, wait_for
from tests.support.stack.client import is_problem
from tests.support.stack.compose import docker

KEEP = "public, max-age=31536000, immutable"
STYLE = re.compile(rb'"(/static/docs\.[0-9a-f]{12}\.css)"')
UNPACK = """
import hashlib, pathlib, sys
from compression import zstd
print(hashlib.sha256(zstd.decompress(pathlib.Path(sys.argv[1]).read_bytes())).hexdigest())
"""
# A release with another style sheet, whose bundle is made anew by the script that made the first one's.
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


def style(server):
    """Return the style sheet's path, as the page for people names it."""
    (path,) = STYLE.findall(server.ask("/api/docs").body)
    return path.decode()


@pytest.fixture(scope="module")
def path(server):
    """Return the style sheet's path."""
    return style(server)


def upstreams(server, path):
    """Return how long the application took for each request for a path; "" where it was not asked."""
    lines = server.compose("logs", "--no-color", "--no-log-prefix", "nginx").stdout.splitlines()
    entries = [json.loads(line) for line in lines if line.startswith("{")]
    return {entry["upstream_s"] for entry in entries if entry["path"] == path}


def test_the_page_names_its_style_sheet_by_its_content(server, path):
    """The page for people links to a name with the first digits of the content's SHA-256 in it, and it loads."""
    answer = server.ask(path)
    assert (answer.status, answer.headers["Content-Type"]) == (200, "text/css; charset=utf-8")
    assert hashlib.sha256(answer.body).hexdigest()[:12] in path


@pytest.mark.parametrize("asked", ENCODINGS)
def test_it_is_kept_for_ever_in_the_form_that_was_asked_for(server, path, asked):
    """It may be kept for ever, in the best form that the client takes, never in one that it rules out."""
    answer = server.ask(path, headers={"Accept-Encoding": asked})
    assert (answer.status, answer.headers["Content-Encoding"]) == (200, ENCODINGS[asked])
    assert answer.headers["Content-Type"] == "text/css; charset=utf-8"
    assert (answer.headers["Cache-Control"], answer.headers["Vary"]) == (KEEP, "Accept-Encoding")


def test_gzip_unpacks_to_what_the_name_says(server, path):
    """What goes out as gzip is the file, and half of its size at most."""
    plain, packed = server.ask(path), server.ask(path, headers={"Accept-Encoding": "gzip"})
    assert gzip.decompress(packed.body) == plain.body
    assert len(packed.body) <= len(plain.body) / 2


def test_zstd_unpacks_to_what_the_name_says(server, image, path):
    """What goes out as zstd is the file, as the image's Python unpacks it."""
    answer = server.ask(path, headers={"Accept-Encoding": "zstd"})
    folder = server.folder / "static/zstd"
    assert answer.body == (folder / path[1:]).read_bytes()
    words = (f"--volume={folder}:/packed:ro", image, "python", "-c", UNPACK, f"/packed{path}")
    assert docker("run", "--rm", "--network=none", *words).stdout[:12] in path


def test_nginx_serves_it_alone(server, path):
    """The application is not asked for it; for the plain name it is."""
    server.ask(path)
    server.ask("/static/docs.css")
    wait_for(lambda: upstreams(server, path) and upstreams(server, "/static/docs.css"))
    assert upstreams(server, path) <= {"", "-"}
    assert not upstreams(server, "/static/docs.css") & {"", "-"}


@pytest.mark.parametrize(
    ("condition", "validator"), [("If-None-Match", "ETag"), ("If-Modified-Since", "Last-Modified")]
)
@pytest.mark.parametrize("encoding", ["identity", "zstd"])
def test_who_has_it_gets_nothing_again(server, path, condition, validator, encoding):
    """A client that asks again all the same is told that it has not changed."""
    accept = {"Accept-Encoding": encoding}
    seen = server.ask(path, headers=accept).headers[validator]
    answer = server.ask(path, headers={**accept, condition: seen})
    assert (answer.status, answer.body, answer.headers["Cache-Control"]) == (304, b"", KEEP)


def test_the_plain_name_is_asked_for_each_time(server, path):
    """The plain name has the same content, is not kept without asking, and is not sent again to who has it."""
    answer = server.ask("/static/docs.css")
    assert (answer.status, answer.headers["Cache-Control"]) == (200, "no-cache")
    assert answer.body == server.ask(path).body
    again = server.ask("/static/docs.css", headers={"If-None-Match": answer.headers["ETag"]})
    assert (again.status, again.body) == (304, b"")


@pytest.mark.parametrize("name", ["docs.0123456789ab.css", "gone.css", "", "../../etc/passwd.0123456789ab"])
def test_what_is_not_there_is_not_kept(server, name):
    """A name that no release has is a problem document that nobody keeps: the next release may have it."""
    answer = server.ask(f"/static/{name}")
    assert is_problem(answer, 400 if name.startswith("..") else 404)
    assert answer.headers["Cache-Control"] == "no-store"


@pytest.mark.parametrize("method", ["POST", "PUT", "DELETE"])
def test_it_can_only_be_read(server, path, method):
    """Any other method than GET and HEAD is refused, by either name."""
    assert is_problem(server.ask(path, method), 405)
    assert is_problem(server.ask("/static/docs.css", method), 405)
    assert server.ask(path, "HEAD").status == 200


@pytest.fixture(scope="module")
def restyled(server, registry, path):
    """Bring a release with another style sheet as a canary, promote it, roll back; return what users met meanwhile."""
    seen = SimpleNamespace(old=path, links={}, statuses={})

    def act(name, *words, different=1):
        server.ops(*words)
        met = seen.links[name] = {style(server) for _ in range(5)}
        wait_for(lambda: met.add(style(server)) or len(met) == different, seconds=20)
        seen.statuses[name] = {link: server.ask(link).status for link in {path} | seen.links["canary"]}

    act("canary", "canary", registry.release("restyled", *RESTYLED), "--percent", "50", "--for", "2", different=2)
    act("promote", "promote")
    act("rollback", "rollback")
    return seen


def test_a_changed_file_has_another_name(restyled):
    """The new release's page names its own style sheet; during a canary users meet both, later that of who serves."""
    (new,) = restyled.links["canary"] - {restyled.old}
    assert restyled.links == {"canary": {restyled.old, new}, "promote": {new}, "rollback": {restyled.old}}


@pytest.mark.parametrize("moment", ["canary", "promote", "rollback"])
def test_a_page_finds_its_files_whichever_release_serves(restyled, moment):
    """Whoever has a page of the one release or the other finds its style sheet, whichever serves by now."""
    assert len(restyled.statuses[moment]) == 2
    assert set(restyled.statuses[moment].values()) == {200}
