"""prune: the last five releases stay; older ones are removed, and nothing else."""

import errno

import pytest

from ops import files
from ops.errors import OpsError
from ops.release import history, prune
from ops.release.bundle import bundle_of, image_digests
from ops.release.state import COLOURS
from tests.support.ops.faults import failing

MIGRATION = '[{"revision": "0007", "contract": false, "title": "add a price"}]'
COMMITS = ["second", "third", "fourth", "fifth", "sixth", "seventh"]


def deploy(shop, *commits):
    """Deploy several releases and return their images."""
    images = [shop.fetched(commit) for commit in commits]
    for image in images:
        shop.deploy(image)
    return images


def bundles(shop):
    """Return the commits of the bundles on the server."""
    return {path.read_text(encoding="utf-8") for path in shop.server().releases.glob("*/docker-compose.prod.yml")}


def test_last_five(shop):
    """After seven releases, the last five bundles remain."""
    deploy(shop, *COMMITS)
    assert bundles(shop) == set(COMMITS[-5:])


def test_images(shop):
    """The image is removed with its bundle."""
    images = deploy(shop, *COMMITS)
    removed = [done.split()[-1] for done in shop.docker.executed if done.startswith("docker image rm")]
    assert removed == [shop.fetched("first").name, images[0].name]


def test_kept_images():
    """Only releases that were active count; failed ones take no place."""
    entries = [{"command": "deploy", "image": str(number), "result": "ok"} for number in range(7)]
    entries += [{"command": "deploy", "image": f"bad {number}", "result": "failed"} for number in range(7)]
    assert prune.kept_digests(entries) == {"2", "3", "4", "5", "6"}


def test_failed_release(shop):
    """A release that was never active is removed by the next deploy."""
    with pytest.raises(OpsError):
        shop.deploy(shop.fetched("broken", exits=True))
    deploy(shop, "second")
    assert bundles(shop) == {"first", "second"}


def test_in_use(shop):
    """An image in use stays, and the deploy succeeds."""
    deploy(shop, *COMMITS[:-1])
    shop.docker.fail = failing("docker image rm")
    deploy(shop, COMMITS[-1])
    assert shop.active_release == COMMITS[-1]


def test_rollback_after_pruning(shop):
    """After pruning, a rollback is possible."""
    deploy(shop, *COMMITS)
    shop.rollback()
    assert shop.active_release == COMMITS[-2]


def test_unknown_bundle(shop):
    """A bundle that is not in the history stays."""
    other = bundle_of(shop.server(), shop.fetched("other").name)
    deploy(shop, *COMMITS)
    assert other.exists()


def test_two_names(shop):
    """A release that failed under one name and is active under another keeps its bundle."""
    image = shop.fetched("second")
    shop.reachable = False
    with pytest.raises(OpsError):
        shop.deploy(image)
    shop.reachable = True
    again = shop.fetched("second", registry="mirror.example")
    shop.deploy(again)
    assert bundle_of(shop.server(), again.name).is_dir()


def test_running_release(shop):
    """A release that a colour runs stays, even without a history."""
    deploy(shop, "second")
    shop.server().history_file.write_text("", encoding="utf-8")
    deploy(shop, *COMMITS[1:])
    assert {"sixth", "seventh"} <= bundles(shop)
    assert all(image_digests(shop.server(), colour) for colour in COLOURS)


def test_unfinished(shop, monkeypatch):
    """Nothing is removed while an operation is unfinished, such as after a full disk at `record`."""
    add = history.add
    with monkeypatch.context() as patch:
        patch.setattr(history, "add", lambda *argv: (full if argv[1]["result"] == "ok" else add)(*argv))
        with pytest.raises(OpsError, match="stopped at “record”"):
            shop.deploy(shop.fetched("second", pending=MIGRATION))
    assert (shop.active_release, bundles(shop)) == ("second", {"first", "second"})
    shop.deploy(shop.fetched("third"))
    results = [("second", "begun"), ("second", "incomplete"), ("second", "ok"), ("third", "ok")]
    assert [entry[1:] for entry in shop.history[1:]] == results


def full(_path, _entry):
    """Fail like a full disk."""
    raise OSError(errno.ENOSPC, "No space left on device")


def test_no_permission(shop, monkeypatch, capsys):
    """A folder that cannot be removed stays and is named; the deploy succeeds."""
    deploy(shop, *COMMITS[:-1])
    monkeypatch.setattr(files, "remove_folder", lambda folder: full(folder, None))
    deploy(shop, COMMITS[-1])
    assert shop.active_release == COMMITS[-1]
    assert "stays: [Errno 28]" in capsys.readouterr().out


def test_dry_run(shop):
    """A dry run removes nothing."""
    deploy(shop, *COMMITS[:-1])
    shop.fetched("first")
    before = bundles(shop)
    prune.prune(shop.server(dry=True))
    assert bundles(shop) == before
