"""Told to stop, as by an engine or a connection that went away: ops puts back what it began, and ends."""

import os
import signal

import pytest

from ops.errors import Interrupted, OpsError
from ops.release.recovery import exclusive


@pytest.mark.parametrize("step", ["preflight", "migrate", "start", "ready", "smoke", "switch", "verify"])
def test_terminated(shop, at_step, step):
    """Told to stop by a signal, ops puts back at once and records it."""
    at_step(step, Interrupted("SIGTERM"))
    with pytest.raises(OpsError, match=f"stopped at “{step}”"):
        shop.deploy(shop.fetched("second"))
    assert (shop.users_meet, shop.running, shop.journal) == ("first", ["first"], None)
    assert shop.history[1:] == [("deploy", "second", "failed")]


def test_what_it_had_begun(shop):
    """A migration that ops no longer waits for does not go on behind its back."""

    def stopped(argv):
        if "pending" in argv:
            shop.docker.one_offs.append("shop-migrate-run-1")
            raise Interrupted("SIGTERM")

    shop.docker.fail = stopped
    with pytest.raises(OpsError, match="stopped at “migrate”"):
        shop.deploy(shop.fetched("second"))
    assert shop.docker.one_offs == []


def test_nohup(shop):
    """A command that was started to outlive its terminal does."""
    signal.signal(signal.SIGHUP, signal.SIG_IGN)
    with exclusive(shop.server(), "a test"):
        os.kill(os.getpid(), signal.SIGHUP)


def test_a_signal_interrupts(shop):
    """SIGTERM and SIGHUP become Interrupted while a command is under way."""
    for number in (signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, signal.SIG_DFL)  # the tests themselves may have been started by nohup
        with pytest.raises(Interrupted, match=number.name), exclusive(shop.server(), "a test"):
            os.kill(os.getpid(), number)
