"""Static files: present before a release gets traffic, and until its last release is pruned."""

import errno
import os
import shutil
import stat

import pytest

from ops import files
from ops.docker import nginx
from ops.errors import OpsError
from ops.release import prune, static_files
from ops.release.bundle import bundle_of
from ops.release.state import Traffic
from ops.server import init
from tests.support.ops.faults import Killed

STYLE = "identity/static/docs.{}.css"
COMMITS = ["second", "third", "fourth", "fifth", "sixth", "seventh"]


@pytest.fixture
def release(shop):
    """Return a function that makes a release with its own static file and a shared one."""

    def make(commit, **behaviour):
        image = shop.fetched(commit, **behaviour)
        add(bundle_of(shop.server(), image.name), commit)
        return image

    return make


def add(bundle, commit):
    """Write static files to a bundle."""
    for name in (STYLE.format(commit), f"zstd/static/docs.{commit}.css", "identity/static/img/logo.png"):
        (bundle / "static" / name).parent.mkdir(parents=True, exist_ok=True)
        (bundle / "static" / name).write_text(commit if commit in name else "logo", encoding="utf-8")


def served(shop):
    """Return the releases whose style sheet nginx can serve."""
    return {path.read_text(encoding="utf-8") for path in shop.server().static.glob(STYLE.format("*"))}


def test_coexistence(shop, release):
    """After a deploy and a rollback, the files of both releases exist, with their compressed forms."""
    for commit in ("second", "third"):
        shop.deploy(release(commit))
    assert served(shop) == {"second", "third"}
    assert (shop.folder / "static/zstd/static/docs.second.css").read_text(encoding="utf-8") == "second"
    shop.rollback()
    assert (shop.active_release, served(shop)) == ("second", {"second", "third"})


@pytest.mark.parametrize("command", ["deploy", "canary"])
def test_before_the_traffic(shop, release, monkeypatch, command):
    """The files exist before the release gets traffic."""
    seen, route = [], nginx.route
    monkeypatch.setattr(nginx, "route", lambda server, wanted: (seen.append(served(shop)), route(server, wanted)))
    getattr(shop, command)(release("second"))
    assert seen[0] == {"second"}


def test_before_a_rollback(shop, release):
    """A rollback restores missing files first."""
    for commit in ("second", "third"):
        shop.deploy(release(commit))
    shutil.rmtree(shop.folder / "static")
    shop.rollback()
    assert served(shop) == {"second"}


def test_readable_for_nginx(shop, release):
    """The files are world-readable, whatever the umask."""
    before = os.umask(0o077)
    try:
        shop.deploy(release("second"))
    finally:
        os.umask(before)
    modes = {path.is_dir(): stat.S_IMODE(path.stat().st_mode) for path in (shop.folder / "static").rglob("*")}
    assert modes == {True: 0o755, False: 0o644}


def test_same_inode(shop, release):
    """The folder keeps its inode, since it is mounted."""
    (shop.folder / "static").mkdir()
    before = (shop.folder / "static").stat().st_ino
    shop.deploy(release("second"))
    assert (shop.folder / "static").stat().st_ino == before


def test_init(new_shop):
    """`init` creates the folder, which Docker would create for root only."""
    init.init(new_shop.server(), [])
    assert stat.S_IMODE((new_shop.folder / "static").stat().st_mode) == 0o755


def test_release_without_static_files(shop, release):
    """A release without static files can be deployed and restored, and removes none."""
    shop.deploy(release("second"))
    shop.rollback()
    assert (shop.active_release, served(shop)) == ("first", {"second"})


def full(*_):
    """Fail like a full disk."""
    raise OSError(errno.ENOSPC, "No space left on device")


FAULTS = {
    "full disk for the copy": (files, "copy"),
    "full disk for its content": (static_files, "flush"),
    "not readable": (static_files, "names"),
}


@pytest.mark.parametrize("fault", FAULTS)
def test_fault(shop, release, monkeypatch, capsys, fault):
    """If the files cannot be copied, the release gets no traffic; the next deploy succeeds."""
    second = release("second")
    with monkeypatch.context() as patch:
        patch.setattr(*FAULTS[fault], full)
        with pytest.raises(OpsError, match="deploy stopped at “static”"):
            shop.deploy(second)
    assert (shop.active_release, shop.running, shop.docker.nginx) == ("first", ["first"], Traffic("green"))
    text = "The static files of second were not copied: [Errno 28]"
    assert text in capsys.readouterr().out
    shop.deploy(second)
    assert (shop.active_release, served(shop)) == ("second", {"second"})


def test_no_folder(shop, release):
    """A file in place of the folder stops the deploy."""
    (shop.folder / "static").write_text("", encoding="utf-8")
    with pytest.raises(OpsError, match="deploy stopped at “static”"):
        shop.deploy(release("second"))
    assert shop.active_release == "first"


def test_no_partial_file(tmp_path, monkeypatch):
    """A full disk leaves no partial file."""
    (tmp_path / "source").write_text("new", encoding="utf-8")
    monkeypatch.setattr(files.shutil, "copyfile", lambda _source, target: (target.write_text("n"), full()))
    with pytest.raises(OSError, match="No space left"):
        files.copy(tmp_path / "source", tmp_path / "target")
    assert [path.name for path in tmp_path.iterdir()] == ["source"]


def test_unreadable(tmp_path):
    """A missing folder has no files; an unreadable one is an error."""
    (tmp_path / "file").write_text("", encoding="utf-8")
    assert static_files.names(tmp_path / "gone") == set()
    with pytest.raises(NotADirectoryError):
        static_files.names(tmp_path / "file")


def test_killed(shop, release, at_step):
    """After a kill at this step, the old release stays active, and the next deploy succeeds."""
    at_step("static", Killed())
    with pytest.raises(Killed):
        shop.deploy(release("second"))
    shop.recover()
    assert (shop.active_release, shop.running, shop.journal) == ("first", ["first"], None)
    shop.deploy(release("third"))
    assert (shop.active_release, served(shop)) == ("third", {"third"})


def test_dry_run(shop, release, capsys):
    """A dry run prints the copy and copies nothing."""
    second = release("second")
    bundle = bundle_of(shop.server(), second.name)
    shop.deploy(second, dry=True)
    assert f"would copy {bundle}/static to {shop.folder}/static" in capsys.readouterr().out
    assert not (shop.folder / "static").exists()


def test_prune(shop, release):
    """The files of the last five releases stay, also shared ones."""
    for commit in COMMITS:
        shop.deploy(release(commit))
    assert served(shop) == set(COMMITS[-5:])
    assert not (shop.folder / "static/zstd/static/docs.second.css").exists()
    assert (shop.folder / "static/identity/static/img/logo.png").exists()


def test_failed_release(shop, release):
    """The files of a release that was never active are removed by the next deploy."""
    with pytest.raises(OpsError):
        shop.deploy(release("broken", exits=True))
    assert served(shop) == {"broken"}
    shop.deploy(release("second"))
    assert served(shop) == {"second"}


def test_canary(shop, release):
    """The files of an aborted canary stay until its bundle is pruned."""
    shop.deploy(release("second"))
    shop.canary(release("third"))
    shop.abort()
    assert served(shop) == {"second", "third"}


def test_unknown_files(shop, release):
    """Files of no release stay."""
    add(shop.folder, "mine")
    for commit in COMMITS:
        shop.deploy(release(commit))
    assert "mine" in served(shop)


def test_prune_killed(shop, release, monkeypatch):
    """After a kill between files and bundle, the next prune removes the bundle."""
    for commit in COMMITS[:-1]:
        shop.deploy(release(commit))
    last = release(COMMITS[-1])
    with monkeypatch.context() as patch:
        patch.setattr(files, "remove_folder", killed)
        with pytest.raises(Killed):
            shop.deploy(last)
    prune.prune(shop.server())
    assert served(shop) == set(COMMITS[-5:])
    assert len(list(shop.server().releases.iterdir())) == 5


def killed(_folder):
    """Kill the process."""
    raise Killed


def test_partial_bundles(shop, release):
    """A partial bundle keeps no files."""
    shop.deploy(release("second"))
    bundle = bundle_of(shop.server(), shop.fetched("third").name)
    for path in (bundle, bundle.with_suffix(".new"), bundle.with_suffix(".old"), shop.folder):
        add(path, "third")
    static_files.remove(shop.server(), bundle)
    assert served(shop) == {"second"}
