"""Shared by all levels: failures are printed as they happen, and the time each file takes is printed and recorded."""

import json
import time
from collections import defaultdict
from pathlib import Path

import pytest

DURATIONS = Path(__file__).with_name("durations.json")
SLOW_FILE_S = 20


def pytest_addoption(parser):
    """Add the options that `scripts/test.sh` passes on."""
    group = parser.getgroup("selection")
    group.addoption("--part", metavar="N/COUNT", help="run the Nth of COUNT parts of the stack level")
    group.addoption("--minutes", type=float, help="run as many stack files as fit, in an order the commit decides")
    group.addoption("--record-durations", action="store_true", help=f"write the files' times to {DURATIONS.name}")


def pytest_configure(config):
    """Register the reporter; a worker of pytest-xdist has none, its controller reports."""
    if not hasattr(config, "workerinput"):
        config.pluginmanager.register(ProgressReporter(config), "progress")


class ProgressReporter:
    """Prints each failure when it happens, so that an aborted run has shown it, and each slow file's time."""

    def __init__(self, config):
        self.config = config
        self.started = time.monotonic()
        self.seconds = defaultdict(float)

    def write(self, text):
        """Print text on separate lines."""
        reporter = self.config.pluginmanager.getplugin("terminalreporter")
        if reporter:
            reporter.ensure_newline()
            reporter.write_line(text)

    def pytest_runtest_logreport(self, report):
        """Add up the time of the test's file; print a failure in full."""
        self.seconds[report.location[0]] += report.duration
        if report.failed:
            self.write(f"{report.nodeid}, {report.when}:\n{report.longreprtext}")

    @pytest.hookimpl(wrapper=True)
    def pytest_runtest_protocol(self, item, nextitem):
        """Print the time of a slow file after its last test, fixtures included."""
        result = yield
        if nextitem is None or nextitem.path != item.path:
            now = time.monotonic()
            if now - self.started > SLOW_FILE_S:
                self.write(f"  {item.path.name} took {now - self.started:.0f} s")
            self.started = now
        return result

    def pytest_sessionfinish(self):
        """Record the files' times where the run was asked to."""
        if self.config.getoption("record_durations"):
            known = json.loads(DURATIONS.read_text()) if DURATIONS.exists() else {}
            known |= {name: max(1, round(seconds)) for name, seconds in self.seconds.items()}
            kept = {name: known[name] for name in sorted(known) if (Path(__file__).parent.parent / name).exists()}
            DURATIONS.write_text(json.dumps(kept, indent=1) + "\n")
