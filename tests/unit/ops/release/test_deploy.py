"""deploy and rollback: the order of their steps and their results."""

import pytest

from ops.errors import OpsError, PreconditionError
from ops.server import FILE


def order(shop, *texts):
    """Return the positions of the first command with each text."""
    return [next(index for index, done in enumerate(shop.docker.executed) if text in done) for text in texts]


def test_first(new_shop):
    """The first deploy ends with all traffic on the release."""
    new_shop.deploy(new_shop.fetched("first"))
    assert (new_shop.active_release, new_shop.running) == ("first", ["first"])


def test_next(shop):
    """A deploy ends with all traffic on the new release, the old one stopped, no request lost, and one entry."""
    shop.deploy(shop.fetched("second"))
    assert (shop.active_release, shop.running, shop.docker.lost) == ("second", ["second"], [])
    assert shop.history[1:] == [("deploy", "second", "ok")]
    assert shop.journal is None


def test_order(shop):
    """Migrations come first, then the colour, then nginx; the old colour is stopped last."""
    shop.deploy(shop.fetched("second"))
    steps = order(shop, "schema pending", "--pull never web-blue", "8001/api/products", "-s reload", "stop web-green")
    assert steps == sorted(steps)


def test_configuration_is_tested(shop):
    """Nginx tests a configuration before it reloads."""
    shop.deploy(shop.fetched("second"))
    checked, reloaded = order(shop, "apply-config.sh", "-s reload")
    assert checked < reloaded


def test_bundle(shop):
    """The server's folder has the files of the active release."""
    shop.deploy(shop.fetched("second"))
    names = (FILE, "nginx/production.conf", "ops/__main__.py", "deploy/postgres/roles.sh")
    assert {(shop.folder / name).read_text(encoding="utf-8") for name in names} == {"second"}


def test_other_commit(shop):
    """An image of another commit than requested is refused."""
    with pytest.raises(PreconditionError, match="is of release second, not third"):
        shop.deploy(shop.fetched("second"), commit="third")
    assert shop.history == [("deploy", "first", "ok")]


def test_rollback(shop):
    """A rollback restores the previous release and its files, and loses no request."""
    shop.deploy(shop.fetched("second"))
    shop.rollback()
    assert (shop.active_release, shop.running, shop.docker.lost) == ("first", ["first"], [])
    assert (shop.folder / FILE).read_text(encoding="utf-8") == "first"


def test_rollback_twice(shop):
    """Two rollbacks go back two releases."""
    for commit in ("second", "third"):
        shop.deploy(shop.fetched(commit))
    shop.rollback()
    shop.rollback()
    assert shop.active_release == "first"


def test_rollback_to_an_image(shop):
    """A rollback goes to the requested release."""
    for commit in ("second", "third"):
        shop.deploy(shop.fetched(commit))
    shop.rollback(shop.fetched("first").name)
    assert shop.active_release == "first"


def test_rollback_of_the_first(shop):
    """Without an earlier release, a rollback is refused."""
    with pytest.raises(PreconditionError, match="no earlier release"):
        shop.rollback()


def test_rollback_to_an_unknown_image(shop):
    """A rollback to an unknown image is refused with the known ones."""
    shop.deploy(shop.fetched("second"))
    with pytest.raises(PreconditionError, match=r"none of the earlier releases:\n  registry\.example/shop@sha256:"):
        shop.rollback(shop.fetched("other").name)


def test_rollback_past_a_contract_step(shop):
    """A rollback past a contract step is refused with its name."""
    pending = '[{"revision": "0007", "contract": true, "title": "drop the old price"}]'
    shop.deploy(shop.fetched("second", pending=pending), allow_contract=True)
    with pytest.raises(PreconditionError, match="0007"):
        shop.rollback()
    assert shop.active_release == "second"


def test_rollback_past_a_failed_contract_step(shop):
    """A contract step of a failed deploy counts too."""
    shop.deploy(shop.fetched("second"))
    pending = '[{"revision": "0007", "contract": true, "title": "drop the old price"}]'
    with pytest.raises(OpsError):
        shop.deploy(shop.fetched("third", pending=pending, api=500), allow_contract=True)
    with pytest.raises(PreconditionError, match="0007"):
        shop.rollback()
