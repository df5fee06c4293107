"""canary, promote and abort, as three commands."""

import pytest

from ops.errors import OpsError, PreconditionError
from ops.release.state import Traffic


@pytest.fixture
def canary(shop):
    """A server where the release `second` has a tenth of the traffic."""
    shop.canary(shop.fetched("second"))
    return shop


def test_canary(canary):
    """A canary stays: both releases run with their shares."""
    assert canary.docker.nginx == Traffic("green", 10)
    assert canary.running == ["first", "second"]
    assert canary.history[1:] == [("canary", "second", "ok")]


def test_promote(canary):
    """A promoted canary has all traffic, and no request is lost."""
    canary.promote()
    assert (canary.active_release, canary.running, canary.docker.lost) == ("second", ["second"], [])
    assert canary.history[2:] == [("promote", "second", "ok")]


def test_rollback_of_a_promoted_canary(canary):
    """A promoted canary can be rolled back."""
    canary.promote()
    canary.rollback()
    assert canary.active_release == "first"


def test_abort(canary):
    """After an abort, the old release has all traffic, and no request is lost."""
    canary.abort()
    assert (canary.active_release, canary.running, canary.docker.lost) == ("first", ["first"], [])
    assert canary.history[2:] == [("abort", "second", "ok")]


@pytest.mark.parametrize("command", ["promote", "abort"])
def test_without_a_canary(shop, command):
    """Without a canary, promote and abort are refused with the command that starts one."""
    with pytest.raises(PreconditionError, match="ops canary IMAGE"):
        getattr(shop, command)()


def test_after_an_abort(canary):
    """An aborted canary cannot be promoted."""
    canary.abort()
    with pytest.raises(PreconditionError, match="no canary"):
        canary.promote()


@pytest.mark.parametrize("command", ["deploy", "canary"])
def test_deploy_during_a_canary(canary, command):
    """During a canary, a deploy or canary is refused with both ways out."""
    with pytest.raises(PreconditionError, match=r"promote, or: .*abort"):
        getattr(canary, command)(canary.fetched("third"))
    assert canary.docker.nginx == Traffic("green", 10)


def test_rollback_during_a_canary(canary):
    """During a canary, a rollback is refused."""
    with pytest.raises(PreconditionError, match="abort"):
        canary.rollback()


def test_promote_a_broken_canary(canary):
    """A broken canary is not promoted: the old release has all traffic."""
    canary.docker.running.discard("blue")
    with pytest.raises(OpsError, match="promote stopped at “ready”"):
        canary.promote()
    assert (canary.active_release, canary.docker.lost) == ("first", [])
