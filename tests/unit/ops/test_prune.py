"""prune: the last five releases stay, with image and bundle; what is older goes, and nothing else."""

import pytest

from ops import prune, release
from ops.errors import Failure
from tests.unit.ops.faults import failing

COMMITS = ["second", "third", "fourth", "fifth", "sixth", "seventh"]


def deploy(shop, *commits):
    """Deploy one after the other, and return their images."""
    images = [shop.fetched(commit) for commit in commits]
    for image in images:
        shop.deploy(image)
    return images


def bundles(shop):
    """Return the commits whose bundles are here."""
    return {path.read_text(encoding="utf-8") for path in shop.site().releases.glob("*/docker-compose.prod.yml")}


def test_last_five(shop):
    """After seven releases the last five are here."""
    deploy(shop, *COMMITS)
    assert bundles(shop) == set(COMMITS[-5:])


def test_images(shop):
    """The image goes with its bundle, by its own name."""
    images = deploy(shop, *COMMITS)
    removed = [done.split()[-1] for done in shop.server.done if done.startswith("docker image rm")]
    assert removed == [shop.fetched("first").name, images[0].name]


def test_kept_images():
    """Only what served counts: a release that failed takes no place."""
    entries = [{"command": "deploy", "image": str(number), "result": "ok"} for number in range(7)]
    entries += [{"command": "deploy", "image": f"bad {number}", "result": "failed"} for number in range(7)]
    assert prune.kept_images(entries) == {"2", "3", "4", "5", "6"}


def test_failed_ones(shop):
    """A release that never served is taken away by the next good deploy."""
    with pytest.raises(Failure):
        shop.deploy(shop.fetched("broken", ends=True))
    deploy(shop, "second")
    assert bundles(shop) == {"first", "second"}


def test_in_use(shop):
    """An image that a container still uses stays, and the deploy has succeeded all the same."""
    deploy(shop, *COMMITS[:-1])
    shop.server.fail = failing("docker image rm")
    deploy(shop, COMMITS[-1])
    assert shop.users_meet == COMMITS[-1]


def test_rollback_after_it(shop):
    """After pruning there is still a release to go back to."""
    deploy(shop, *COMMITS)
    shop.rollback()
    assert shop.users_meet == COMMITS[-2]


def test_foreign(shop):
    """A bundle's folder that no release of the history brought is left alone."""
    other = release.bundle_of(shop.site(), shop.fetched("other").name)
    deploy(shop, *COMMITS)
    assert other.exists()


def test_dry_run(shop):
    """A dry run takes nothing away."""
    deploy(shop, *COMMITS[:-1])
    shop.fetched("first")
    before = bundles(shop)
    prune.prune(shop.site(dry=True))
    assert bundles(shop) == before
