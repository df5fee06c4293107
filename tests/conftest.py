"""What every level shares: a run that is cut off has said what failed in it, and how long each file took."""

import time

import pytest

LONG = 20  # seconds


def pytest_configure(config):
    """Say things while the tests run, and not only at their end."""
    config.pluginmanager.register(AtOnce(config), "at-once")


class AtOnce:
    """Prints each failure when it happens, and the time of each file that took long."""

    def __init__(self, config):
        self.config = config
        self.began = time.monotonic()

    def say(self, text):
        """Print it on lines of its own, where anything is printed."""
        reporter = self.config.pluginmanager.getplugin("terminalreporter")
        if reporter:
            reporter.ensure_newline()
            reporter.write_line(text)

    def pytest_runtest_logreport(self, report):
        """Print a failure whole; the end of the run has them all once more."""
        if report.failed:
            self.say(f"{report.nodeid}, {report.when}:\n{report.longreprtext}")

    @pytest.hookimpl(wrapper=True)
    def pytest_runtest_protocol(self, item, nextitem):
        """Print how long a file took, at its end, with what it had set up for others."""
        done = yield
        if nextitem is None or nextitem.path != item.path:
            now = time.monotonic()
            if now - self.began > LONG:
                self.say(f"  {item.path.name} took {now - self.began:.0f} s")
            self.began = now
        return done
