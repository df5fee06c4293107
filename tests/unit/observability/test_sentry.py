"""Error tracking: an event has the request's id, and no secret wherever that was in the request."""

import json
import logging
import sys

import pytest
import sentry_sdk
from sentry_sdk.scope import Scope
from sentry_sdk.transport import Transport
from sqlalchemy import text
from sqlalchemy.exc import DataError

from app.db.session import DatabaseUnavailableError
from app.extensions import db
from app.observability import sentry

CANARY = "hunter2-canary"
CONFIG = {"SENTRY_DSN": "https://key@sentry.invalid/1", "RELEASE": "r1", "ENVIRONMENT": "testing"}
CONFIG |= {"SENTRY_TRACES_SAMPLE_RATE": 1.0}
HEADERS = {"Authorization": f"Bearer {CANARY}", "Cookie": f"session={CANARY}", "X-Api-Key": CANARY}
HEADERS |= {"Referer": f"https://shop.example/reset?token={CANARY}", "X-Forwarded-For": "203.0.113.9"}


class Kept(Transport):
    """Keeps what would be sent."""

    def __init__(self, options=None):
        super().__init__(options)
        self.sent = []

    def capture_envelope(self, envelope):
        """Keep the payloads."""
        self.sent += [item.payload.json for item in envelope.items if item.payload.json]

    def of(self, kind):
        """Return the only payload of a kind: None for an error, `transaction` for a trace."""
        (payload,) = [payload for payload in self.sent if payload.get("type") == kind]
        return payload


@pytest.fixture
def transport(monkeypatch):
    """Take the place of the network; afterwards Sentry is off again."""
    kept = Kept()
    real = sentry.options
    monkeypatch.setattr(sentry, "options", lambda config: real(config) | {"transport": kept})
    yield kept
    sentry_sdk.get_client().close(timeout=0)
    sentry_sdk.get_global_scope().set_client(None)


def site(make_app, rate):
    """Return a client of an application whose /fail/<name> fails with secrets around it; its other views say how."""
    app = make_app(SENTRY_DSN=CONFIG["SENTRY_DSN"], SENTRY_TRACES_SAMPLE_RATE=rate, RELEASE="r1")

    def fail(name):
        password = CANARY
        raise RuntimeError(name) from DataError("SELECT 1", {"a": password}, Exception(f"bad\nDETAIL: {CANARY}"))

    def away():
        raise DatabaseUnavailableError(CANARY)

    def fine():
        db.session.execute(text("SELECT :secret"), {"secret": CANARY})
        logging.getLogger("shop").error("bad, but not a fault")
        return "fine"

    app.add_url_rule("/fail/<name>", "fail", fail, methods=["POST"])
    app.add_url_rule("/away", "away", away)
    app.add_url_rule("/fine", "fine", fine)
    return app.test_client(use_cookies=False)


@pytest.fixture(params=["0", "1"], ids=["untraced", "traced"])
def client(make_app, transport, request):  # noqa: ARG001 - it must be there before the application
    """Asks such an application, once without traces and once with all of them."""
    return site(make_app, request.param)


@pytest.fixture
def traced(make_app, transport):  # noqa: ARG001
    """Asks such an application with all traces."""
    return site(make_app, "1")


def fail(client):
    """Send a request that is full of secrets and fails."""
    body = {"password": CANARY}
    return client.post(f"/fail/now?reset_token={CANARY}", headers=HEADERS, json=body)


def test_event_has_no_secret(client, transport):
    """Neither locals nor query string, body, credentials or the page before are in an event."""
    fail(client)
    assert CANARY not in json.dumps(transport.of(None))


def test_event_has_no_address(client, transport):
    """Nor is who asked: personal data stays here."""
    fail(client)
    event = json.dumps(transport.of(None))
    assert "203.0.113.9" not in event
    assert "127.0.0.1" not in event


def test_event_has_the_id(client, transport):
    """The id in the client's answer finds the event, which says which release failed, where, and why."""
    answer = fail(client)
    event = transport.of(None)
    assert event["tags"]["request_id"] == answer.headers["X-Request-ID"]
    assert (event["release"], event["environment"]) == ("r1", "testing")
    assert [value["value"] for value in event["exception"]["values"]] == ["bad [SQL: SELECT 1]", "now"]
    assert event["request"]["url"] == "http://localhost/fail/now"


@pytest.mark.parametrize("path", ["/away", "/fine", "/nowhere"])
def test_no_event(client, transport, path):
    """A backend that is away, a line that says ERROR, and an answer that was meant so make none."""
    client.get(path)
    assert [payload for payload in transport.sent if payload.get("type") != "transaction"] == []


def test_a_flood_is_bounded(client, transport):
    """Of a fault that happens all the time some events are made, and the rest costs nothing."""
    for _ in range(sentry.BURST + 30):
        fail(client)
    made = [payload for payload in transport.sent if payload.get("type") != "transaction"]
    assert sentry.BURST <= len(made) <= sentry.BURST + 20


def test_allowance():
    """After so many at once there are so many a second."""
    now = 0.0
    allowance = sentry.Allowance(3, 2.0, lambda: now)
    assert [allowance.take() for _ in range(4)] == [True, True, True, False]
    now = 1.0
    assert [allowance.take() for _ in range(3)] == [True, True, False]
    now = 100.0
    assert [allowance.take() for _ in range(4)] == [True, True, True, False]


def test_requests_pay_nothing(make_app, transport, monkeypatch):  # noqa: ARG001
    """Without traces Sentry does nothing in a request that does not fail: not even a scope is made."""
    client = site(make_app, "0")
    monkeypatch.setattr(Scope, "fork", None)
    assert client.get("/fine").status_code == 200


def test_trace_has_no_secret(traced, transport):
    """A trace of a request is as discreet as an event, its statements included."""
    traced.get(f"/fine?reset_token={CANARY}", headers=HEADERS)
    trace = transport.of("transaction")
    assert CANARY not in json.dumps(trace)
    assert "SELECT ?" in [span["description"] for span in trace["spans"]]


def test_health_is_not_traced(traced, transport):
    """What load balancers ask every second is no trace; what people ask is."""
    for path in ("/health", "/health/version", "/metrics"):
        traced.get(path)
    assert transport.sent == []
    traced.get("/fine")
    assert transport.of("transaction")["transaction"] == "fine"


def test_rate():
    """The share that was set is the share that is traced."""
    sampler = sentry.options(CONFIG | {"SENTRY_TRACES_SAMPLE_RATE": 0.25})["traces_sampler"]
    assert [sampler({"wsgi_environ": {"PATH_INFO": path}}) for path in ("/api/products", "/health/ready")] == [
        0.25,
        0.0,
    ]
    assert sampler({}) == 0.25


def test_off_without_a_dsn(make_app, monkeypatch):
    """Without SENTRY_DSN the client is not even imported."""
    monkeypatch.setitem(sys.modules, "sentry_sdk", None)  # an import would fail
    make_app()
