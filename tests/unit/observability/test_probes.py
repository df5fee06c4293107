"""Readiness: probes side by side within a deadline, a word for each, and the flag of a server that stops."""

import mmap
import threading
import time

import pytest
from flask import Flask, current_app, g

from app.observability import probes
from tests.support.helpers import wait_for

SECRET = "postgresql://app:hunter2@db"


def fails():
    """Raise what a driver raises, with what it should not tell."""
    raise RuntimeError(SECRET)


class Hang:
    """A backend that does not answer until it is let go; counts who asked."""

    def __init__(self):
        self.calls, self.go = 0, threading.Event()

    def __call__(self):
        """Hang."""
        self.calls += 1
        self.go.wait(10)
        return "late"


@pytest.fixture
def app():
    """An application with no probe."""
    app = Flask("probed")
    probes.init_app(app)
    return app


@pytest.fixture
def hang(monkeypatch):
    """A backend that hangs, and a deadline short enough for a test."""
    monkeypatch.setattr(probes, "DEADLINE", 0.02)
    hang = Hang()
    yield hang
    hang.go.set()


@pytest.fixture
def _running(monkeypatch):
    """A flag of this test's own: the real one cannot be taken back."""
    monkeypatch.setattr(probes, "_draining", mmap.mmap(-1, 1))


def ask(app, *checks):
    """Register (name, check, essential) and return the report."""
    for name, check, essential in checks:
        probes.register(app, name, check, essential=essential)
    return probes.report(app)


def test_ready(app):
    """When every probe answers, the report has their words and is ready."""
    report = ask(app, ("database", lambda: "connected", True), ("migrations", lambda: "ahead", True))
    assert (report.status, report.ready) == ("ready", True)
    assert report.checks == {"database": "connected", "migrations": "ahead"}


def test_without_an_essential_one(app):
    """Without its database a process should get no requests."""
    report = ask(app, ("database", fails, True), ("redis", lambda: "connected", False))
    assert (report.status, report.ready) == ("unavailable", False)
    assert report.checks == {"database": "unavailable", "redis": "connected"}


def test_without_another(app):
    """Without its cache it only loses comfort, and says so."""
    report = ask(app, ("database", lambda: "connected", True), ("redis", fails, False))
    assert (report.status, report.ready) == ("degraded", True)
    assert report.checks["redis"] == "unavailable"


def test_words_only(app, logged):
    """The exception's text goes to the log and not into the report; the password in it to neither."""
    log = logged()
    assert SECRET not in repr(ask(app, ("database", fails, True)))
    wait_for(lambda: "probe database failed: RuntimeError" in "".join(log.lines), pause=0.005)
    assert "hunter2" not in log.stream.getvalue()


def test_hanging(app, hang, monkeypatch):
    """A probe that hangs is a timeout after the deadline; the others have answered meanwhile."""
    monkeypatch.setattr(probes, "DEADLINE", 0.3)
    began = time.monotonic()
    report = ask(app, ("first", hang, True), ("second", lambda: "connected", True), ("third", hang, False))
    assert time.monotonic() - began < 2
    assert report.checks == {"first": "timeout", "second": "connected", "third": "timeout"}
    assert report.status == "unavailable"


def test_one_deadline_for_all(app, hang, monkeypatch):
    """Hanging probes are waited for side by side, not one after the other."""
    monkeypatch.setattr(probes, "DEADLINE", 0.2)
    began = time.monotonic()
    ask(app, *((f"probe {number}", hang, True) for number in range(20)))
    assert time.monotonic() - began < 2  # 4 s one after the other


def test_one_thread(app, hang):
    """A backend that hangs holds one thread, however often it is asked."""
    ask(app, ("database", hang, True))
    reports = [probes.report(app) for _ in range(3)]
    assert {report.checks["database"] for report in reports} == {"timeout"}
    assert hang.calls == 1


def test_recovers(app, hang):
    """Once the backend answers again, so does the probe."""
    assert ask(app, ("database", hang, True)).status == "unavailable"
    hang.go.set()
    wait_for(lambda: probes.report(app) == probes.Report({"database": "late"}, "ready"), pause=0.005)


@pytest.mark.usefixtures("_running")
def test_draining(app):
    """A server that was told to stop is not ready, whatever its backends say."""
    assert ask(app, ("database", lambda: "connected", True)).status == "ready"
    probes.drain()
    report = probes.report(app)
    assert (report.status, report.ready, report.checks) == ("draining", False, {"database": "connected"})


def test_checks_run_in_the_application(app):
    """A probe may use what belongs to the application."""
    assert ask(app, ("name", lambda: current_app.name, True)).checks == {"name": "probed"}


def test_no_thread_to_be_had(app, monkeypatch):
    """A probe that could not be started says so once, and is asked again the next time."""
    probes.register(app, "backend", lambda: "connected", essential=True)

    def refuse(_thread):
        raise RuntimeError("can't start new thread")

    with monkeypatch.context() as patch:
        patch.setattr(threading.Thread, "start", refuse)
        assert probes.report(app).checks["backend"] == "unavailable"
    assert probes.report(app).checks["backend"] == "connected"


def test_the_log_line_has_the_request_id(app, logged):
    """What a probe logs in its thread carries the id of the request that asked."""

    def fail():
        raise ConnectionError

    log = logged()
    probes.register(app, "backend", fail, essential=True)
    with app.test_request_context():
        g.request_id = "0123456789abcdef"
        probes.report(app)
    (line,) = [line for line in log.records if "backend" in line["message"]]
    assert line["request_id"] == "0123456789abcdef"
