"""Static files with content hashes in their names."""

import os
import posixpath
import re

import pytest
from flask import Flask, url_for
from hypothesis import assume, given
from hypothesis import strategies as st

from app.http import static_files
from app.http.static_files import StaticFiles, plain_name

IMMUTABLE = "public, max-age=31536000, immutable"
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
    """A folder of static files with the content `hello`, next to a secret outside the folder."""
    for name in HASHES:
        (tmp_path / "static" / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / "static" / name).write_text("hello")
    (tmp_path / "secret").write_text("secret")
    return tmp_path / "static"


@pytest.fixture
def site(folder):
    """An application that serves only this folder."""
    app = Flask("site", static_folder=str(folder))
    static_files.init_app(app)
    return app


@pytest.fixture
def send(site):
    """Return a function that requests a path."""
    return lambda path, method="GET", **headers: read(site.test_client().open(path, method=method, headers=headers))


def read(response):
    """Read a response to its end, which closes the file."""
    response.get_data()
    response.close()
    return response


def url(app, name):
    """Return the URL of a static file."""
    with app.test_request_context():
        return url_for("static", filename=name)


@pytest.mark.parametrize("name", HASHES)
def test_url(site, name):
    """A URL contains twelve digits of the SHA-256 before the extension, or at the end without one."""
    assert url(site, name) == f"/static/{HASHES[name]}".replace(" ", "%20")


@pytest.mark.parametrize("name", HASHES)
def test_hashed_name(send, name):
    """The hashed name serves the file as immutable."""
    response = send(f"/static/{HASHES[name]}")
    assert (response.status_code, response.data, response.headers["Cache-Control"]) == (200, b"hello", IMMUTABLE)


@pytest.mark.parametrize("name", HASHES)
def test_served_by_plain_name(send, name):
    """The plain name serves the file with no-cache."""
    response = send(f"/static/{name}")
    assert (response.status_code, response.data, response.headers["Cache-Control"]) == (200, b"hello", "no-cache")


@pytest.mark.parametrize("name", ["docs.css", "docs.2cf24dba5fb0.css"])
def test_type(send, name):
    """Both names give the file's content type."""
    assert send(f"/static/{name}").content_type == "text/css; charset=utf-8"


@pytest.mark.parametrize("name", ["docs.css", "docs.2cf24dba5fb0.css"])
def test_not_modified(send, name):
    """The ETag, which depends on the content alone, gets 304 under both names."""
    response = send(f"/static/{name}", **{"If-None-Match": '"2cf24dba5fb0"'})
    assert (response.status_code, response.data, response.headers["ETag"]) == (304, b"", '"2cf24dba5fb0"')


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
def test_wrong_hash(send, name):
    """A name with any other hash gets 404."""
    assert send(f"/static/{name}").status_code == 404


@pytest.mark.parametrize(
    "path", ["/static/../secret", "/static/%2e%2e/secret", "/static/..%2fsecret", "/static/img/../../secret"]
)
def test_path_traversal(send, path):
    """No path leads outside the folder."""
    assert send(path).status_code == 404


def test_hash_outside_the_folder(folder):
    """Files outside the folder are not hashed."""
    files = StaticFiles(str(folder))
    assert files.hashed_name("../secret") == "../secret"
    assert files.hashed_name(str(folder.parent / "secret")) == str(folder.parent / "secret")


@pytest.mark.parametrize("name", NOWHERE)
def test_no_file(folder, name):
    """A name without a file is unchanged, and raises no error."""
    assert StaticFiles(str(folder)).hashed_name(name) == name


@pytest.mark.parametrize("name", ["", "gone.css", ".", "..", "img", "img/", "docs.css%00", "a" * 300, "%ff"])
def test_not_found(send, name):
    """A name without a file gets 404."""
    assert send(f"/static/{name}").status_code == 404


def test_url_of_a_missing_file(site):
    """The URL of a missing file contains no hash."""
    assert url(site, "gone.css") == "/static/gone.css"


def test_pipe(folder):
    """A pipe is not opened."""
    os.mkfifo(folder / "pipe")
    assert StaticFiles(str(folder)).hashed_name("pipe") == "pipe"


def test_changed_file(site, send, folder):
    """A changed file has its new name immediately, and the old name gets 404."""
    before = url(site, "docs.css")
    (folder / "docs.css").write_text("other")
    after = url(site, "docs.css")
    assert before != after
    assert [send(path).status_code for path in (before, after)] == [404, 200]


def test_change_detection(folder):
    """A change of size or time alone changes the name."""
    files, path = StaticFiles(str(folder)), folder / "docs.css"
    seen = {files.hashed_name("docs.css")}
    when = path.stat().st_mtime_ns
    for text, time in (("longer", when), ("shorts", when + 1)):
        path.write_text(text)
        os.utime(path, ns=(time, time))
        seen.add(files.hashed_name("docs.css"))
    assert len(seen) == 3


def test_read_once(folder, monkeypatch):
    """An unchanged file is read once."""
    files = StaticFiles(str(folder))
    first = files.hashed_name("docs.css")
    monkeypatch.setattr(type(folder), "open", None)
    assert files.hashed_name("docs.css") == first


def test_methods(send):
    """A static file allows only GET and HEAD."""
    statuses = {method: send("/static/docs.css", method).status_code for method in ("HEAD", "POST", "PUT", "DELETE")}
    assert statuses == {"HEAD": 200, "POST": 405, "PUT": 405, "DELETE": 405}


def test_other_urls(app):
    """Other URLs are unchanged."""
    with app.test_request_context():
        assert url_for("docs.page") == "/api/docs"
        assert url_for("static", filename="gone.css", theme="dark", _external=True).endswith(
            "/static/gone.css?theme=dark"
        )


def test_page(client):
    """The documentation page links its style sheet by the hashed name."""
    (link,) = re.findall(r'"(/static/docs\.[0-9a-f]{12}\.css)"', client.get("/api/docs").text)
    response = read(client.get(link))
    assert (response.status_code, response.headers["Cache-Control"]) == (200, IMMUTABLE)


def test_missing_file_is_not_cached(client):
    """The 404 of a missing file has no-store."""
    response = client.get("/static/docs.0123456789ab.css")
    assert (response.status_code, response.headers["Cache-Control"]) == (404, "no-store")


@given(
    parts=st.lists(st.text(st.sampled_from("a0./"), max_size=4), min_size=1, max_size=3),
    digest=st.text("0a", min_size=12, max_size=12),
)
def test_plain_name(parts, digest):
    """plain_name() inverts hashed_name() for any file name."""
    name = f".{digest}".join(parts)
    assume(name.rpartition("/")[2].strip("."))
    stem, extension = posixpath.splitext(name)
    assert plain_name(f"{stem}.{digest}{extension}") == name
