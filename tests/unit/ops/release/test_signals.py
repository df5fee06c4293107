"""SIGTERM and SIGHUP: ops undoes the operation and exits."""

import os
import signal

import pytest

from ops.errors import Interrupted, OpsError
from ops.release.pipeline import exclusive


@pytest.mark.parametrize("step", ["preflight", "migrate", "start", "ready", "smoke", "switch", "verify"])
def test_terminated(shop, at_step, step):
    """After a signal, ops undoes the operation and records it."""
    at_step(step, Interrupted("SIGTERM"))
    with pytest.raises(OpsError, match=f"stopped at “{step}”"):
        shop.deploy(shop.fetched("second"))
    assert (shop.active_release, shop.running, shop.journal) == ("first", ["first"], None)
    assert shop.history[1:] == [("deploy", "second", "failed")]


def test_running_migration(shop):
    """An interrupted migration's container is removed."""

    def stopped(argv):
        if "pending" in argv:
            shop.docker.one_offs.append("shop-migrate-run-1")
            raise Interrupted("SIGTERM")

    shop.docker.fail = stopped
    with pytest.raises(OpsError, match="stopped at “migrate”"):
        shop.deploy(shop.fetched("second"))
    assert shop.docker.one_offs == []


def test_nohup(shop):
    """A command started with nohup ignores SIGHUP."""
    signal.signal(signal.SIGHUP, signal.SIG_IGN)
    with exclusive(shop.server(), "a test"):
        os.kill(os.getpid(), signal.SIGHUP)


def test_signals_interrupt(shop):
    """SIGTERM and SIGHUP raise Interrupted during a command."""
    for number in (signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, signal.SIG_DFL)  # the tests themselves may have been started by nohup
        with pytest.raises(Interrupted, match=number.name), exclusive(shop.server(), "a test"):
            os.kill(os.getpid(), number)
