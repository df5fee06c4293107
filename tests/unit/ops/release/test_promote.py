"""canary, promote and abort, as three commands."""

import pytest

from ops.errors import OpsError, PreconditionError
from ops.release.state import Traffic


@pytest.fixture
def watched(shop):
    """A server where the release `second` has a tenth of the users."""
    shop.canary(shop.fetched("second"))
    return shop


def test_canary(watched):
    """It stays where it is: both run, and each has its share."""
    assert watched.docker.nginx == Traffic("green", 10)
    assert watched.running == ["first", "second"]
    assert watched.history[1:] == [("canary", "second", "ok")]


def test_promote(watched):
    """Promoted, it has all users, alone, and nobody was lost."""
    watched.promote()
    assert (watched.users_meet, watched.running, watched.docker.lost) == ("second", ["second"], [])
    assert watched.history[2:] == [("promote", "second", "ok")]


def test_rollback_of_a_promoted_one(watched):
    """What was promoted can be rolled back."""
    watched.promote()
    watched.rollback()
    assert watched.users_meet == "first"


def test_abort(watched):
    """Aborted, the old release has all users, alone, and nobody was lost."""
    watched.abort()
    assert (watched.users_meet, watched.running, watched.docker.lost) == ("first", ["first"], [])
    assert watched.history[2:] == [("abort", "second", "ok")]


@pytest.mark.parametrize("command", ["promote", "abort"])
def test_without_one(shop, command):
    """Without a canary there is nothing to promote or abort, and the message says how one is begun."""
    with pytest.raises(PreconditionError, match="ops canary IMAGE"):
        getattr(shop, command)()


def test_after_an_abort(watched):
    """What was aborted cannot be promoted."""
    watched.abort()
    with pytest.raises(PreconditionError, match="no canary"):
        watched.promote()


@pytest.mark.parametrize("command", ["deploy", "canary"])
def test_one_at_a_time(watched, command):
    """While a canary has a share nothing else is brought, and the message names both ways out."""
    with pytest.raises(PreconditionError, match=r"promote, or: .*abort"):
        getattr(watched, command)(watched.fetched("third"))
    assert watched.docker.nginx == Traffic("green", 10)


def test_rollback_during_one(watched):
    """Nor is anything rolled back."""
    with pytest.raises(PreconditionError, match="abort"):
        watched.rollback()


def test_promote_a_broken_one(watched):
    """A canary that is no longer well is not promoted: the old release has all users."""
    watched.docker.running.discard("blue")
    with pytest.raises(OpsError, match="promote stopped at “ready”"):
        watched.promote()
    assert (watched.users_meet, watched.docker.lost) == ("first", [])
