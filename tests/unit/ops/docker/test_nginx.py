"""nginx: configuration, reload, drain and requests."""

import os

import pytest

from ops.docker import nginx
from ops.errors import OpsError
from ops.release.state import Traffic
from tests.support.helpers import free_port
from tests.support.ops.faults import failing

real_get_public = nginx.get_public  # before a fixture replaces it


@pytest.fixture
def source(tmp_path):
    """The configuration of a release."""
    for name in ("nginx.conf", "snippets/tls.conf", "snippets/deep/er.conf"):
        (tmp_path / "new" / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / "new" / name).write_text(name, encoding="utf-8")
    return tmp_path / "new"


def files(folder):
    """Return the relative paths of a folder's files."""
    return {str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file()}


def test_install(shop, source):
    """The folder has the release's files and no staging folder."""
    nginx.install(shop.server(), source)
    assert files(shop.folder / "nginx") == files(source)
    assert (shop.folder / "nginx/snippets/deep/er.conf").read_text(encoding="utf-8") == "snippets/deep/er.conf"


def test_removed_files(shop, source):
    """Files that the release lacks are removed: nginx would include them."""
    for name in ("old.conf", "snippets/old.conf", "nginx.conf.new"):
        (shop.folder / "nginx" / name).parent.mkdir(exist_ok=True)
        (shop.folder / "nginx" / name).write_text("old", encoding="utf-8")
    nginx.install(shop.server(), source)
    assert files(shop.folder / "nginx") == files(source)


def test_same_inode(shop, source):
    """The folder keeps its inode, since it is mounted."""
    before = (shop.folder / "nginx").stat().st_ino
    nginx.install(shop.server(), source)
    assert (shop.folder / "nginx").stat().st_ino == before


def test_readable_for_nginx(shop, source):
    """The files are world-readable, whatever the umask."""
    before = os.umask(0o077)
    try:
        nginx.install(shop.server(), source)
    finally:
        os.umask(before)
    paths = (shop.folder / "nginx/snippets").rglob("*")
    assert all(path.stat().st_mode & 0o004 for path in paths)


def test_dry_run(shop, source):
    """A dry run installs nothing."""
    nginx.install(shop.server(dry=True), source)
    assert files(shop.folder / "nginx") == {"production.conf"}


def test_route(shop):
    """A new traffic split is written, tested and loaded."""
    shop.docker.running.add("blue")
    nginx.route(shop.server(), Traffic("blue"))
    assert shop.docker.nginx == Traffic("blue")
    steps = ("apply-config.sh", "-s reload")
    assert [step for done in shop.docker.executed for step in steps if step in done] == list(steps)


def test_rejected_split(shop):
    """A rejected configuration is not loaded."""
    shop.docker.fail = failing("apply-config.sh /etc/nginx/edge")
    with pytest.raises(OpsError):
        nginx.route(shop.server(), Traffic("blue"))
    assert shop.docker.nginx == Traffic("green")


def test_reload(shop):
    """After a reload, no worker accepts requests under the old configuration."""
    nginx.route(shop.server(), Traffic("blue"))
    assert (shop.docker.nginx, shop.docker.pending) == (Traffic("blue"), None)


def test_failed_reload(shop, monkeypatch):
    """A reload that nginx does not perform is an error."""
    monkeypatch.setattr(shop.docker, "_in_nginx", lambda _words: "/proc/9/cmdline\n--\n")
    with pytest.raises(OpsError, match=r"nginx did not reload within 20 s\. Last seen: 1 workers run"):
        nginx.reload(shop.server())


def test_rejected_configuration(shop, source):
    """A rejected configuration is never installed and leaves no files."""
    shop.docker.fail = failing("apply-config.sh /etc/nginx/edge/next")
    with pytest.raises(OpsError):
        nginx.install(shop.server(), source)
    assert files(shop.folder / "nginx") == {"production.conf"}


def test_empty_folder(shop, tmp_path):
    """An empty folder does not replace the configuration."""
    (tmp_path / "new").mkdir()
    with pytest.raises(OSError, match="has no files"):
        nginx.install(shop.server(), tmp_path / "new")
    assert files(shop.folder / "nginx") == {"production.conf"}


def test_drain(shop):
    """Draining waits for old workers."""
    shop.docker.leaving, shop.docker.polls = Traffic("blue"), 3
    nginx.drain(shop.server())
    assert shop.docker.leaving is None


def test_drain_timeout(shop, monkeypatch):
    """A worker that never exits is an error."""
    monkeypatch.setattr(
        shop.docker,
        "_in_nginx",
        lambda _words: "/proc/9/cmdline\n/proc/10/cmdline\n--\n/proc/9/cmdline\n/proc/10/cmdline",
    )
    with pytest.raises(OpsError, match=r"within 40 s\. Last seen: 2 old workers"):
        nginx.drain(shop.server())


def test_get(shop):
    """A response has status and body."""
    assert nginx.get(shop.server(), "http://127.0.0.1:8002/health/version") == nginx.Response(
        200, '{"release": "first"}'
    )


def test_no_response(shop):
    """Without a response, the status is 0 and the body is the error."""
    shop.docker.fail = failing("curl")
    response = nginx.get(shop.server(), "http://127.0.0.1:8002/health")
    assert (response.status, response.body.strip()) == (0, "it is broken")


def test_no_public_response():
    """Without a listener, the status is 0 and the body is the error."""

    class Server:
        host, https = "shop.example", ("127.0.0.1", free_port())

    assert real_get_public(Server, "/") == nginx.Response(0, "ConnectionRefusedError: [Errno 111] Connection refused")
