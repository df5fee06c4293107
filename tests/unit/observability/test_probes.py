"""Readiness: probes run in parallel within a deadline and readiness only states; a draining server is not ready."""

import mmap
import threading
import time

import pytest
from flask import Flask, current_app, g

from app.observability import probes
from tests.support.helpers import wait_for

SECRET = "postgresql://app:hunter2@db"


def fail():
    """Raise an exception that contains a secret, as a driver may."""
    raise RuntimeError(SECRET)


class Hang:
    """A check that hangs until it is released, and counts its calls."""

    def __init__(self):
        self.calls, self.released = 0, threading.Event()

    def __call__(self):
        """Hang."""
        self.calls += 1
        self.released.wait(10)
        return "late"


@pytest.fixture
def app():
    """An application without probes."""
    app = Flask("probed")
    probes.init_app(app)
    return app


@pytest.fixture
def hang(monkeypatch):
    """A check that hangs, with a short deadline."""
    monkeypatch.setattr(probes, "DEADLINE", 0.02)
    hang = Hang()
    yield hang
    hang.released.set()


@pytest.fixture
def _own_draining_flag(monkeypatch):
    """Replace the draining flag, which is never reset."""
    monkeypatch.setattr(probes, "_draining", mmap.mmap(-1, 1))


def check(app, *probe_arguments):
    """Register probes of (name, check, required) and run them."""
    for name, function, required in probe_arguments:
        probes.register(app, name, function, required=required)
    return probes.check_readiness(app)


def test_ready(app):
    """The application is ready when every probe succeeds."""
    readiness = check(app, ("database", lambda: "connected", True), ("migrations", lambda: "ahead", True))
    assert (readiness.status, readiness.is_ready) == ("ready", True)
    assert readiness.checks == {"database": "connected", "migrations": "ahead"}


def test_required_probe_fails(app):
    """The application is unavailable without a required backend."""
    readiness = check(app, ("database", fail, True), ("redis", lambda: "connected", False))
    assert (readiness.status, readiness.is_ready) == ("unavailable", False)
    assert readiness.checks == {"database": "unavailable", "redis": "connected"}


def test_other_probe_fails(app):
    """The application is ready but degraded without another backend."""
    readiness = check(app, ("database", lambda: "connected", True), ("redis", fail, False))
    assert (readiness.status, readiness.is_ready) == ("degraded", True)
    assert readiness.checks["redis"] == "unavailable"


def test_exception_text(app, logged):
    """An exception's text is only logged, without passwords."""
    log = logged()
    assert SECRET not in repr(check(app, ("database", fail, True)))
    wait_for(lambda: "probe database failed: RuntimeError" in "".join(log.lines), pause=0.005)
    assert "hunter2" not in log.stream.getvalue()


def test_timeout(app, hang, monkeypatch):
    """A hanging probe times out at the deadline; the others succeed."""
    monkeypatch.setattr(probes, "DEADLINE", 0.3)
    began = time.monotonic()
    readiness = check(app, ("first", hang, True), ("second", lambda: "connected", True), ("third", hang, False))
    assert time.monotonic() - began < 2
    assert readiness.checks == {"first": "timeout", "second": "connected", "third": "timeout"}
    assert readiness.status == "unavailable"


def test_shared_deadline(app, hang, monkeypatch):
    """Hanging probes share one deadline."""
    monkeypatch.setattr(probes, "DEADLINE", 0.2)
    began = time.monotonic()
    check(app, *((f"probe {number}", hang, True) for number in range(20)))
    assert time.monotonic() - began < 2  # 4 s if run one after the other


def test_one_thread_per_backend(app, hang):
    """Repeated checks of a hanging backend use one thread."""
    check(app, ("database", hang, True))
    results = [probes.check_readiness(app) for _ in range(3)]
    assert {readiness.checks["database"] for readiness in results} == {"timeout"}
    assert hang.calls == 1


def test_recovery(app, hang):
    """A probe succeeds again after the backend recovers."""
    assert check(app, ("database", hang, True)).status == "unavailable"
    hang.released.set()
    wait_for(lambda: probes.check_readiness(app) == probes.Readiness({"database": "late"}, "ready"), pause=0.005)


@pytest.mark.usefixtures("_own_draining_flag")
def test_draining(app):
    """A draining server is not ready."""
    assert check(app, ("database", lambda: "connected", True)).status == "ready"
    probes.start_draining()
    readiness = probes.check_readiness(app)
    assert (readiness.status, readiness.is_ready, readiness.checks) == ("draining", False, {"database": "connected"})


def test_application_context(app):
    """A check runs in the application context."""
    assert check(app, ("name", lambda: current_app.name, True)).checks == {"name": "probed"}


def test_no_thread_available(app, monkeypatch):
    """A probe without a thread fail, and runs again at the next check."""
    probes.register(app, "backend", lambda: "connected", required=True)

    def refuse(_thread):
        raise RuntimeError("can't start new thread")

    with monkeypatch.context() as patch:
        patch.setattr(threading.Thread, "start", refuse)
        assert probes.check_readiness(app).checks["backend"] == "unavailable"
    assert probes.check_readiness(app).checks["backend"] == "connected"


def test_request_id_in_log(app, logged):
    """A probe's thread logs the id of the request that started it."""

    def fail():
        raise ConnectionError

    log = logged()
    probes.register(app, "backend", fail, required=True)
    with app.test_request_context():
        g.request_id = "0123456789abcdef"
        probes.check_readiness(app)
    (line,) = [line for line in log.records if "backend" in line["message"]]
    assert line["request_id"] == "0123456789abcdef"
