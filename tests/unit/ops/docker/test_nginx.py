"""nginx, as ops uses it."""

import os

import pytest

from ops.docker import nginx
from ops.errors import OpsError
from ops.release.state import Traffic
from tests.support.helpers import free_port
from tests.support.ops.faults import failing

real_ask_outside = nginx.get_public  # before a fixture puts the fake server's in its place


@pytest.fixture
def source(tmp_path):
    """The configuration of a release."""
    for name in ("nginx.conf", "snippets/tls.conf", "snippets/deep/er.conf"):
        (tmp_path / "new" / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / "new" / name).write_text(name, encoding="utf-8")
    return tmp_path / "new"


def files(folder):
    """Return the files of a folder, by their names in it."""
    return {str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file()}


def test_install(shop, source):
    """What lies there is the release's, in its folders, with nothing of how it came."""
    nginx.install(shop.server(), source)
    assert files(shop.folder / "nginx") == files(source)
    assert (shop.folder / "nginx/snippets/deep/er.conf").read_text(encoding="utf-8") == "snippets/deep/er.conf"


def test_gone(shop, source):
    """A file that the release no longer has is gone, in folders too: nginx would include it."""
    for name in ("old.conf", "snippets/old.conf", "nginx.conf.new"):
        (shop.folder / "nginx" / name).parent.mkdir(exist_ok=True)
        (shop.folder / "nginx" / name).write_text("old", encoding="utf-8")
    nginx.install(shop.server(), source)
    assert files(shop.folder / "nginx") == files(source)


def test_same_folder(shop, source):
    """The folder itself stays the same one: it is mounted, and nginx would go on with a folder that was replaced."""
    before = (shop.folder / "nginx").stat().st_ino
    nginx.install(shop.server(), source)
    assert (shop.folder / "nginx").stat().st_ino == before


def test_nginx_may_read_it(shop, source):
    """Nginx runs as a user of its own and reads them, whatever the umask of the person who deploys."""
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


def test_serve(shop):
    """To serve another colour, the file is written, checked by nginx and taken over."""
    shop.docker.running.add("blue")
    nginx.route(shop.server(), Traffic("blue"))
    assert shop.docker.nginx == Traffic("blue")
    steps = ("apply-config.sh", "-s reload")
    assert [step for done in shop.docker.done for step in steps if step in done] == list(steps)


def test_refused(shop):
    """A configuration that nginx refuses is not taken over."""
    shop.docker.fail = failing("apply-config.sh /etc/nginx/edge")
    with pytest.raises(OpsError):
        nginx.route(shop.server(), Traffic("blue"))
    assert shop.docker.nginx == Traffic("green")


def test_taken_over(shop):
    """After a reload no worker takes requests under the old configuration: nginx starts the new ones first."""
    nginx.route(shop.server(), Traffic("blue"))
    assert (shop.docker.nginx, shop.docker.asked) == (Traffic("blue"), None)


def test_not_taken_over(shop, monkeypatch):
    """A reload that nginx does not follow, as where it finds no memory for it, is a failure."""
    monkeypatch.setattr(shop.docker, "_beside_nginx", lambda _words: "/proc/9/cmdline\n--\n")
    with pytest.raises(OpsError, match=r"nginx did not reload within 20 s\. Last seen: 1 workers run"):
        nginx.reload(shop.server())


def test_refused_beside(shop, source):
    """A configuration that nginx refuses never lies where nginx would start with it, and leaves nothing behind."""
    shop.docker.fail = failing("apply-config.sh /etc/nginx/edge/next")
    with pytest.raises(OpsError):
        nginx.install(shop.server(), source)
    assert files(shop.folder / "nginx") == {"production.conf"}


def test_nothing_to_install(shop, tmp_path):
    """An empty folder is no configuration: the one that lies there stays."""
    (tmp_path / "new").mkdir()
    with pytest.raises(OSError, match="has no files"):
        nginx.install(shop.server(), tmp_path / "new")
    assert files(shop.folder / "nginx") == {"production.conf"}


def test_drain(shop):
    """It waits while an old worker still ends requests."""
    shop.docker.leaving, shop.docker.looks = Traffic("blue"), 3
    nginx.drain(shop.server())
    assert shop.docker.leaving is None


def test_drain_has_an_end(shop, monkeypatch):
    """A worker that never ends is a failure that says how many are left."""
    monkeypatch.setattr(
        shop.docker,
        "_beside_nginx",
        lambda _words: "/proc/9/cmdline\n/proc/10/cmdline\n--\n/proc/9/cmdline\n/proc/10/cmdline",
    )
    with pytest.raises(OpsError, match=r"within 40 s\. Last seen: 2 old workers"):
        nginx.drain(shop.server())


def test_ask(shop):
    """An answer from beside nginx is its status and its body."""
    assert nginx.get(shop.server(), "http://127.0.0.1:8002/health/version") == nginx.Response(
        200, '{"release": "first"}'
    )


def test_no_answer(shop):
    """Where nothing answers the status is 0, and the text says why."""
    shop.docker.fail = failing("curl")
    answer = nginx.get(shop.server(), "http://127.0.0.1:8002/health")
    assert (answer.status, answer.body.strip()) == (0, "it is broken")


def test_nobody_listens():
    """Nor is it an error from outside."""

    class Server:
        host, https = "shop.example", ("127.0.0.1", free_port())

    assert real_ask_outside(Server, "/") == nginx.Response(0, "ConnectionRefusedError: [Errno 111] Connection refused")
