"""In-memory applications, their logs and their metrics."""

import io
import json
import logging
import sys
import threading

import pytest
from hypothesis import settings

from app import create_app
from app.observability.logging import JSONFormatter
from app.observability.metrics import registry

# No deadline: it would measure the load of the machine.
settings.register_profile("unit", max_examples=40, deadline=None)
settings.load_profile("unit")


class Log:
    """Captured log lines."""

    def __init__(self, formatter):
        self.stream = io.StringIO()
        self.handler = logging.StreamHandler(self.stream)
        self.handler.setFormatter(formatter)

    @property
    def lines(self):
        """The formatted lines."""
        return self.stream.getvalue().splitlines()

    @property
    def records(self):
        """The lines, parsed as JSON."""
        return [json.loads(line) for line in self.lines]


@pytest.fixture(autouse=True)
def _restore_logging(monkeypatch):
    """Undo an application's logging configuration after each test."""
    for module, name in ((sys, "excepthook"), (threading, "excepthook"), (logging, "raiseExceptions")):
        monkeypatch.setattr(module, name, getattr(module, name))
    root = logging.getLogger()
    handlers, level = root.handlers[:], root.level
    yield
    root.handlers[:] = handlers
    root.setLevel(level)


def build(**environ):
    """Build an application that handles exceptions as in production."""
    app = create_app("testing", environ=environ)
    app.config["PROPAGATE_EXCEPTIONS"] = False
    return app


@pytest.fixture
def make_app():
    """Return the function that builds an application."""
    return build


@pytest.fixture(scope="session")
def shared_app():
    """An application behind a proxy, for tests that do not change it; /raise calls its `raises`."""
    app = build(TRUSTED_PROXIES="1")

    @app.route("/raise")
    def fail():
        app.raises()

    return app


@pytest.fixture
def app(make_app):
    """An application with an in-memory SQLite database and the in-process cache."""
    return make_app()


@pytest.fixture
def client(app):
    """Return a client of the application."""
    return app.test_client()


@pytest.fixture
def logged():
    """Return a function that starts to capture logs, by default as JSON."""

    def begin(formatter=None):
        log = Log(formatter or JSONFormatter("r1"))
        logging.getLogger().addHandler(log.handler)
        return log

    return begin


@pytest.fixture
def metric_value():
    """Return a function that sums a metric's series with these labels, counted in this test."""
    registry.reset()

    def read(name, **labels):
        samples = [sample for family in registry.collect() for sample in family.samples]
        found = [s.value for s in samples if s.name == name and labels.items() <= s.labels.items()]
        return sum(found) if found else None

    return read
