"""prune: the last five releases stay, with image and bundle; what is older goes, and nothing else."""

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
    """Deploy one after the other, and return their images."""
    images = [shop.fetched(commit) for commit in commits]
    for image in images:
        shop.deploy(image)
    return images


def bundles(shop):
    """Return the commits whose bundles are here."""
    return {path.read_text(encoding="utf-8") for path in shop.server().releases.glob("*/docker-compose.prod.yml")}


def test_last_five(shop):
    """After seven releases the last five are here."""
    deploy(shop, *COMMITS)
    assert bundles(shop) == set(COMMITS[-5:])


def test_images(shop):
    """The image goes with its bundle, by its own name."""
    images = deploy(shop, *COMMITS)
    removed = [done.split()[-1] for done in shop.docker.done if done.startswith("docker image rm")]
    assert removed == [shop.fetched("first").name, images[0].name]


def test_kept_images():
    """Only what served counts: a release that failed takes no place."""
    entries = [{"command": "deploy", "image": str(number), "result": "ok"} for number in range(7)]
    entries += [{"command": "deploy", "image": f"bad {number}", "result": "failed"} for number in range(7)]
    assert prune.kept_digests(entries) == {"2", "3", "4", "5", "6"}


def test_failed_ones(shop):
    """A release that never served is taken away by the next good deploy."""
    with pytest.raises(OpsError):
        shop.deploy(shop.fetched("broken", ends=True))
    deploy(shop, "second")
    assert bundles(shop) == {"first", "second"}


def test_in_use(shop):
    """An image that a container still uses stays, and the deploy has succeeded all the same."""
    deploy(shop, *COMMITS[:-1])
    shop.docker.fail = failing("docker image rm")
    deploy(shop, COMMITS[-1])
    assert shop.users_meet == COMMITS[-1]


def test_rollback_after_it(shop):
    """After pruning there is still a release to go back to."""
    deploy(shop, *COMMITS)
    shop.rollback()
    assert shop.users_meet == COMMITS[-2]


def test_foreign(shop):
    """A bundle's folder that no release of the history brought is left alone."""
    other = bundle_of(shop.server(), shop.fetched("other").name)
    deploy(shop, *COMMITS)
    assert other.exists()


def test_by_another_name(shop):
    """A release that failed under one name and serves under another keeps its bundle."""
    image = shop.fetched("second")
    shop.reachable = False
    with pytest.raises(OpsError):
        shop.deploy(image)
    shop.reachable = True
    again = shop.fetched("second", registry="mirror.example")
    shop.deploy(again)
    assert bundle_of(shop.server(), again.name).is_dir()


def test_what_runs(shop):
    """What a colour runs stays, though the history does not say that it served."""
    deploy(shop, "second")
    shop.server().history_file.write_text("", encoding="utf-8")
    deploy(shop, *COMMITS[1:])
    assert {"sixth", "seventh"} <= bundles(shop)
    assert all(image_digests(shop.server(), colour) for colour in COLOURS)


def test_unfinished(shop, monkeypatch):
    """While a command is not finished, as where the disk was full when it was to be recorded, nothing is taken away."""
    add = history.add
    with monkeypatch.context() as patch:
        patch.setattr(history, "add", lambda *argv: (full if argv[1]["result"] == "ok" else add)(*argv))
        with pytest.raises(OpsError, match="stopped at “record”"):
            shop.deploy(shop.fetched("second", pending=MIGRATION))
    assert (shop.users_meet, bundles(shop)) == ("second", {"first", "second"})
    shop.deploy(shop.fetched("third"))
    results = [("second", "begun"), ("second", "incomplete"), ("second", "ok"), ("third", "ok")]
    assert [entry[1:] for entry in shop.history[1:]] == results


def full(_path, _entry):
    """Have no room on the disk."""
    raise OSError(errno.ENOSPC, "No space left on device")


def test_not_ours_to_remove(shop, monkeypatch, capsys):
    """A folder that cannot be removed, as after a deploy with sudo, stays, is named, and stops nothing."""
    deploy(shop, *COMMITS[:-1])
    monkeypatch.setattr(files, "remove", lambda folder: full(folder, None))
    deploy(shop, COMMITS[-1])
    assert shop.users_meet == COMMITS[-1]
    assert "stays: [Errno 28]" in capsys.readouterr().out


def test_dry_run(shop):
    """A dry run takes nothing away."""
    deploy(shop, *COMMITS[:-1])
    shop.fetched("first")
    before = bundles(shop)
    prune.prune(shop.server(dry=True))
    assert bundles(shop) == before
