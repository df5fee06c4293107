"""Static files: the name says what the content is, and whoever has it need not ask again."""

import os
import posixpath
import re

import pytest
from flask import Flask, url_for
from hypothesis import assume, given
from hypothesis import strategies as st

from app.http import static_files
from app.http.static_files import StaticFiles, plain_name

KEEP = "public, max-age=31536000, immutable"
HASHES = {  # printf hello | sha256sum
    "docs.css": "docs.2cf24dba5fb0.css",
    "lib.min.js": "lib.min.2cf24dba5fb0.js",
    "LICENSE": "LICENSE.2cf24dba5fb0",
    ".hidden": ".hidden.2cf24dba5fb0",
    "img/v1.2/logo.png": "img/v1.2/logo.2cf24dba5fb0.png",
    "img.d/LICENSE": "img.d/LICENSE.2cf24dba5fb0",
    "a mug.css": "a mug.2cf24dba5fb0.css",
    "main.0123456789ab.js": "main.0123456789ab.2cf24dba5fb0.js",
    "odd.0123456789ab": "odd.2cf24dba5fb0.0123456789ab",
}
NOWHERE = ["gone.css", "", ".", "..", "/", "../secret", "img", "img/", "docs.css\0", "a" * 300, "\udc80", "docs.css/x"]


@pytest.fixture
def folder(tmp_path):
    """A folder of static files, each of which says hello, beside something that is nobody's business."""
    for name in HASHES:
        (tmp_path / "static" / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / "static" / name).write_text("hello")
    (tmp_path / "secret").write_text("secret")
    return tmp_path / "static"


@pytest.fixture
def shop(folder):
    """An application with nothing but these."""
    app = Flask("shop", static_folder=str(folder))
    static_files.init_app(app)
    return app


@pytest.fixture
def ask(shop):
    """Return a function that asks for a path."""
    return lambda path, method="GET", **headers: read(shop.test_client().open(path, method=method, headers=headers))


def read(answer):
    """Return an answer that was read to its end, so that its file is closed."""
    answer.get_data()
    answer.close()
    return answer


def url(app, name):
    """Return the URL of a static file."""
    with app.test_request_context():
        return url_for("static", filename=name)


@pytest.mark.parametrize("name", HASHES)
def test_url(shop, name):
    """A URL has twelve digits of the content's SHA-256 before the extension, or at the end where there is none."""
    assert url(shop, name) == f"/static/{HASHES[name]}".replace(" ", "%20")


@pytest.mark.parametrize("name", HASHES)
def test_hashed(ask, name):
    """Under the name with the hash a file is there, to be kept for ever."""
    answer = ask(f"/static/{HASHES[name]}")
    assert (answer.status_code, answer.data, answer.headers["Cache-Control"]) == (200, b"hello", KEEP)


@pytest.mark.parametrize("name", HASHES)
def test_plain(ask, name):
    """Under its plain name it is there too, and whoever has it asks again."""
    answer = ask(f"/static/{name}")
    assert (answer.status_code, answer.data, answer.headers["Cache-Control"]) == (200, b"hello", "no-cache")


@pytest.mark.parametrize("name", ["docs.css", "docs.2cf24dba5fb0.css"])
def test_type(ask, name):
    """The type is the file's, by either name."""
    assert ask(f"/static/{name}").content_type == "text/css; charset=utf-8"


@pytest.mark.parametrize("name", ["docs.css", "docs.2cf24dba5fb0.css"])
def test_unchanged(ask, name):
    """Whoever names the tag gets 304 by either name; the tag is the content's, the same on every server."""
    answer = ask(f"/static/{name}", **{"If-None-Match": '"2cf24dba5fb0"'})
    assert (answer.status_code, answer.data, answer.headers["ETag"]) == (304, b"", '"2cf24dba5fb0"')


@pytest.mark.parametrize(
    "name",
    [
        "docs.0123456789ab.css",  # another release's
        "LICENSE.0123456789ab",
        "docs.2CF24DBA5FB0.css",
        "docs.2cf24dba5fb0",
        "docs.css.2cf24dba5fb0",
        "docs.2cf24dba5fb.css",
        "docs.2cf24dba5fb00.css",
        "docs.2cf24dba5fb0.2cf24dba5fb0.css",
        "gone.2cf24dba5fb0.css",
        "img.2cf24dba5fb0",
        "docs.2cf24dba5fb0.css/",
    ],
)
def test_another_hash(ask, name):
    """A name that is not exactly that of a file as it is now is not found."""
    assert ask(f"/static/{name}").status_code == 404


@pytest.mark.parametrize(
    "path", ["/static/../secret", "/static/%2e%2e/secret", "/static/..%2fsecret", "/static/img/../../secret"]
)
def test_outside(ask, path):
    """Nothing is served from outside the folder."""
    assert ask(path).status_code == 404


def test_outside_hashed(folder):
    """Nor is anything outside it looked at."""
    outside = StaticFiles(str(folder))
    assert outside.hashed_name("../secret") == "../secret"
    assert outside.hashed_name(str(folder.parent / "secret")) == str(folder.parent / "secret")


@pytest.mark.parametrize("name", NOWHERE)
def test_no_file(folder, name):
    """What is no file in the folder keeps its name, and nothing is raised."""
    assert StaticFiles(str(folder)).hashed_name(name) == name


@pytest.mark.parametrize("name", ["", "gone.css", ".", "..", "img", "img/", "docs.css%00", "a" * 300, "%ff"])
def test_not_found(ask, name):
    """Asked for, it is not found."""
    assert ask(f"/static/{name}").status_code == 404


def test_url_of_no_file(shop):
    """The URL of a file that is not there is Flask's own."""
    assert url(shop, "gone.css") == "/static/gone.css"


def test_pipe(folder):
    """What is no regular file is not waited for."""
    os.mkfifo(folder / "pipe")
    assert StaticFiles(str(folder)).hashed_name("pipe") == "pipe"


def test_changed(shop, ask, folder):
    """A file that is edited has its new name at once, and the old one is gone."""
    before = url(shop, "docs.css")
    (folder / "docs.css").write_text("other")
    after = url(shop, "docs.css")
    assert before != after
    assert [ask(path).status_code for path in (before, after)] == [404, 200]


def test_changed_in_the_same_moment(folder):
    """So has one that has another size and the same time, or another time and the same size."""
    files, path = StaticFiles(str(folder)), folder / "docs.css"
    seen = {files.hashed_name("docs.css")}
    when = path.stat().st_mtime_ns
    for text, time in (("longer", when), ("shorts", when + 1)):
        path.write_text(text)
        os.utime(path, ns=(time, time))
        seen.add(files.hashed_name("docs.css"))
    assert len(seen) == 3


def test_read_once(folder, monkeypatch):
    """A file that has not changed is not read again."""
    files = StaticFiles(str(folder))
    first = files.hashed_name("docs.css")
    monkeypatch.setattr(type(folder), "open", None)
    assert files.hashed_name("docs.css") == first


def test_methods(ask):
    """A file can be read and nothing else."""
    answers = {method: ask("/static/docs.css", method).status_code for method in ("HEAD", "POST", "PUT", "DELETE")}
    assert answers == {"HEAD": 200, "POST": 405, "PUT": 405, "DELETE": 405}


def test_other_urls(app):
    """Other URLs are as they were."""
    with app.test_request_context():
        assert url_for("docs.page") == "/api/docs"
        assert url_for("static", filename="gone.css", theme="dark", _external=True).endswith(
            "/static/gone.css?theme=dark"
        )


def test_page(client):
    """The page for people names its style sheet with the hash, and it is there."""
    (link,) = re.findall(r'"(/static/docs\.[0-9a-f]{12}\.css)"', client.get("/api/docs").text)
    answer = read(client.get(link))
    assert (answer.status_code, answer.headers["Cache-Control"]) == (200, KEEP)


def test_not_found_is_not_kept(client):
    """That a file is not there may change, so nobody keeps it."""
    answer = client.get("/static/docs.0123456789ab.css")
    assert (answer.status_code, answer.headers["Cache-Control"]) == (404, "no-store")


@given(
    parts=st.lists(st.text(st.sampled_from("a0./"), max_size=4), min_size=1, max_size=3),
    digest=st.text("0a", min_size=12, max_size=12),
)
def test_plain_name(parts, digest):
    """Whatever a file is called, the plain name of its hashed one is that name."""
    name = f".{digest}".join(parts)
    assume(name.rpartition("/")[2].strip("."))
    stem, extension = posixpath.splitext(name)
    assert plain_name(f"{stem}.{digest}{extension}") == name
