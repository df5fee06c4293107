"""Static files of releases: there before a user meets the release, and until the last release that has them is gone."""

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
def bring(shop):
    """Return a function that makes a release with static files: one of its own, and one that all have."""

    def make(commit, **behaviour):
        image = shop.fetched(commit, **behaviour)
        add(bundle_of(shop.server(), image.name), commit)
        return image

    return make


def add(bundle, commit):
    """Put static files into a bundle."""
    for name in (STYLE.format(commit), f"zstd/static/docs.{commit}.css", "identity/static/img/logo.png"):
        (bundle / "static" / name).parent.mkdir(parents=True, exist_ok=True)
        (bundle / "static" / name).write_text(commit if commit in name else "logo", encoding="utf-8")


def served(shop):
    """Return the releases whose style sheet nginx finds."""
    return {path.read_text(encoding="utf-8") for path in shop.server().static.glob(STYLE.format("*"))}


def test_side_by_side(shop, bring):
    """After a deploy the files of both releases are there, in each form, and after a rollback too."""
    for commit in ("second", "third"):
        shop.deploy(bring(commit))
    assert served(shop) == {"second", "third"}
    assert (shop.folder / "static/zstd/static/docs.second.css").read_text(encoding="utf-8") == "second"
    shop.rollback()
    assert (shop.users_meet, served(shop)) == ("second", {"second", "third"})


@pytest.mark.parametrize("command", ["deploy", "canary"])
def test_before_users(shop, bring, monkeypatch, command):
    """They are there before nginx sends the first user to the release."""
    seen, route = [], nginx.route
    monkeypatch.setattr(nginx, "route", lambda server, wanted: (seen.append(served(shop)), route(server, wanted)))
    getattr(shop, command)(bring("second"))
    assert seen[0] == {"second"}


def test_before_a_rollback(shop, bring):
    """So are those of a release that is brought back, though somebody took them away."""
    for commit in ("second", "third"):
        shop.deploy(bring(commit))
    shutil.rmtree(shop.folder / "static")
    shop.rollback()
    assert served(shop) == {"second"}


def test_rights(shop, bring):
    """Nginx runs as a user of its own and reads them, whatever the umask of the person who deploys."""
    before = os.umask(0o077)
    try:
        shop.deploy(bring("second"))
    finally:
        os.umask(before)
    modes = {path.is_dir(): stat.S_IMODE(path.stat().st_mode) for path in (shop.folder / "static").rglob("*")}
    assert modes == {True: 0o755, False: 0o644}


def test_same_folder(shop, bring):
    """The folder itself stays the same one: it is mounted."""
    (shop.folder / "static").mkdir()
    before = (shop.folder / "static").stat().st_ino
    shop.deploy(bring("second"))
    assert (shop.folder / "static").stat().st_ino == before


def test_init(new_shop):
    """A new server has the folder before nginx is started: Docker would make it, and for root alone."""
    init.init(new_shop.server(), [])
    assert stat.S_IMODE((new_shop.folder / "static").stat().st_mode) == 0o755


def test_of_before(shop, bring):
    """A release from before there were such files is deployed and brought back, and takes none away."""
    shop.deploy(bring("second"))
    shop.rollback()
    assert (shop.users_meet, served(shop)) == ("first", {"second"})


def full(*_):
    """Have no room on the disk."""
    raise OSError(errno.ENOSPC, "No space left on device")


FAULTS = {
    "no room for a copy": (files, "copy"),
    "nor for its bytes": (static_files, "flush"),
    "not readable": (static_files, "names"),
}


@pytest.mark.parametrize("fault", FAULTS)
def test_fault(shop, bring, monkeypatch, capsys, fault):
    """Where they cannot be read or written, the release meets no user, and it is said why; the next deploy works."""
    second = bring("second")
    with monkeypatch.context() as patch:
        patch.setattr(*FAULTS[fault], full)
        with pytest.raises(OpsError, match="deploy stopped at “static”"):
            shop.deploy(second)
    assert (shop.users_meet, shop.running, shop.docker.nginx) == ("first", ["first"], Traffic("green"))
    text = "The static files of second were not copied: [Errno 28]"
    assert text in capsys.readouterr().out
    shop.deploy(second)
    assert (shop.users_meet, served(shop)) == ("second", {"second"})


def test_no_folder(shop, bring):
    """Nor where a file lies in the folder's place."""
    (shop.folder / "static").write_text("", encoding="utf-8")
    with pytest.raises(OpsError, match="deploy stopped at “static”"):
        shop.deploy(bring("second"))
    assert shop.users_meet == "first"


def test_no_half_file(tmp_path, monkeypatch):
    """What a full disk let nobody finish is not left lying there."""
    (tmp_path / "source").write_text("new", encoding="utf-8")
    monkeypatch.setattr(files.shutil, "copyfile", lambda _source, target: (target.write_text("n"), full()))
    with pytest.raises(OSError, match="No space left"):
        files.copy(tmp_path / "source", tmp_path / "target")
    assert [path.name for path in tmp_path.iterdir()] == ["source"]


def test_unreadable(tmp_path):
    """A folder that is not there has no files; one that cannot be read is an error, not an empty one."""
    (tmp_path / "file").write_text("", encoding="utf-8")
    assert static_files.names(tmp_path / "gone") == set()
    with pytest.raises(NotADirectoryError):
        static_files.names(tmp_path / "file")


def test_killed(shop, bring, at_step):
    """Killed while they were laid out, the old release serves, and the next deploy works."""
    at_step("static", Killed())
    with pytest.raises(Killed):
        shop.deploy(bring("second"))
    shop.recover()
    assert (shop.users_meet, shop.running, shop.journal) == ("first", ["first"], None)
    shop.deploy(bring("third"))
    assert (shop.users_meet, served(shop)) == ("third", {"third"})


def test_dry_run(shop, bring, capsys):
    """A dry run says what it would do, and does nothing."""
    second = bring("second")
    bundle = bundle_of(shop.server(), second.name)
    shop.deploy(second, dry=True)
    assert f"would copy {bundle}/static to {shop.folder}/static" in capsys.readouterr().out
    assert not (shop.folder / "static").exists()


def test_prune(shop, bring):
    """The files of the last five releases stay, with those that an older one shares with them; the rest goes."""
    for commit in COMMITS:
        shop.deploy(bring(commit))
    assert served(shop) == set(COMMITS[-5:])
    assert not (shop.folder / "static/zstd/static/docs.second.css").exists()
    assert (shop.folder / "static/identity/static/img/logo.png").exists()


def test_failed_one(shop, bring):
    """Those of a release that never served go with the next good deploy."""
    with pytest.raises(OpsError):
        shop.deploy(bring("broken", ends=True))
    assert served(shop) == {"broken"}
    shop.deploy(bring("second"))
    assert served(shop) == {"second"}


def test_canary(shop, bring):
    """Those of a canary that was aborted stay as long as its bundle does."""
    shop.deploy(bring("second"))
    shop.canary(bring("third"))
    shop.abort()
    assert served(shop) == {"second", "third"}


def test_not_ours(shop, bring):
    """What no release brought is left alone."""
    add(shop.folder, "mine")
    for commit in COMMITS:
        shop.deploy(bring(commit))
    assert "mine" in served(shop)


def test_prune_killed(shop, bring, monkeypatch):
    """Killed between a release's files and its bundle, the next prune goes on with the bundle."""
    for commit in COMMITS[:-1]:
        shop.deploy(bring(commit))
    last = bring(COMMITS[-1])
    with monkeypatch.context() as patch:
        patch.setattr(files, "remove", killed)
        with pytest.raises(Killed):
            shop.deploy(last)
    prune.prune(shop.server())
    assert served(shop) == set(COMMITS[-5:])
    assert len(list(shop.server().releases.iterdir())) == 5


def killed(_folder):
    """Be killed."""
    raise Killed


def test_left_over(shop, bring):
    """What is left of a bundle that was on its way in or out keeps nothing."""
    shop.deploy(bring("second"))
    bundle = bundle_of(shop.server(), shop.fetched("third").name)
    for path in (bundle, bundle.with_suffix(".new"), bundle.with_suffix(".old"), shop.folder):
        add(path, "third")
    static_files.remove(shop.server(), bundle)
    assert served(shop) == {"second"}
