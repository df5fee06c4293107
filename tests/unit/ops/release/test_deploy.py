"""deploy and rollback: what happens in which order, and what is so afterwards."""

import pytest

from ops.errors import OpsError, PreconditionError
from ops.server import FILE


def order(shop, *texts):
    """Return the places of the first command with each text."""
    return [next(index for index, done in enumerate(shop.docker.done) if text in done) for text in texts]


def test_first(new_shop):
    """On a new server a deploy ends with the release serving."""
    new_shop.deploy(new_shop.fetched("first"))
    assert (new_shop.users_meet, new_shop.running) == ("first", ["first"])


def test_next(shop):
    """A deploy ends with the new release serving, the old one stopped, no user lost, and one line in the history."""
    shop.deploy(shop.fetched("second"))
    assert (shop.users_meet, shop.running, shop.docker.lost) == ("second", ["second"], [])
    assert shop.history[1:] == [("deploy", "second", "ok")]
    assert shop.journal is None


def test_order(shop):
    """The schema first, then the colour, then nginx; the old colour is stopped last."""
    shop.deploy(shop.fetched("second"))
    steps = order(shop, "schema pending", "--pull never web-blue", "8001/api/products", "-s reload", "stop web-green")
    assert steps == sorted(steps)


def test_nginx_is_asked_before_a_reload(shop):
    """Nginx reads a configuration before it takes it over."""
    shop.deploy(shop.fetched("second"))
    checked, reloaded = order(shop, "apply-config.sh", "-s reload")
    assert checked < reloaded


def test_bundle(shop):
    """The files in the server's folder are those of the release that serves."""
    shop.deploy(shop.fetched("second"))
    names = (FILE, "nginx/production.conf", "ops/__main__.py", "deploy/postgres/roles.sh")
    assert {(shop.folder / name).read_text(encoding="utf-8") for name in names} == {"second"}


def test_other_commit(shop):
    """An image of another commit than the one that was asked for is refused before anything is changed."""
    with pytest.raises(PreconditionError, match="is of release second, not third"):
        shop.deploy(shop.fetched("second"), commit="third")
    assert shop.history == [("deploy", "first", "ok")]


def test_rollback(shop):
    """A rollback brings the release before back, with its own files, and loses no user."""
    shop.deploy(shop.fetched("second"))
    shop.rollback()
    assert (shop.users_meet, shop.running, shop.docker.lost) == ("first", ["first"], [])
    assert (shop.folder / FILE).read_text(encoding="utf-8") == "first"


def test_rollback_twice(shop):
    """Two rollbacks go back two releases."""
    for commit in ("second", "third"):
        shop.deploy(shop.fetched(commit))
    shop.rollback()
    shop.rollback()
    assert shop.users_meet == "first"


def test_rollback_to_a_named_one(shop):
    """A rollback goes to the release that is named."""
    for commit in ("second", "third"):
        shop.deploy(shop.fetched(commit))
    shop.rollback(shop.fetched("first").name)
    assert shop.users_meet == "first"


def test_rollback_without_one_before(shop):
    """Where nothing was before, a rollback says so."""
    with pytest.raises(PreconditionError, match="no earlier release"):
        shop.rollback()


def test_rollback_to_an_unknown_one(shop):
    """A rollback refuses what never served here, and names what did."""
    shop.deploy(shop.fetched("second"))
    with pytest.raises(PreconditionError, match=r"none of the earlier releases:\n  registry\.example/shop@sha256:"):
        shop.rollback(shop.fetched("other").name)


def test_rollback_past_a_contract_step(shop):
    """A rollback refuses a release that needs what the schema has lost since, and names the step."""
    pending = '[{"revision": "0007", "contract": true, "title": "drop the old price"}]'
    shop.deploy(shop.fetched("second", pending=pending), allow_contract=True)
    with pytest.raises(PreconditionError, match="0007"):
        shop.rollback()
    assert shop.users_meet == "second"


def test_rollback_past_a_contract_step_of_a_failed_deploy(shop):
    """A contract step stays one though the deploy that applied it failed."""
    shop.deploy(shop.fetched("second"))
    pending = '[{"revision": "0007", "contract": true, "title": "drop the old price"}]'
    with pytest.raises(OpsError):
        shop.deploy(shop.fetched("third", pending=pending, api=500), allow_contract=True)
    with pytest.raises(PreconditionError, match="0007"):
        shop.rollback()
