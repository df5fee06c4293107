"""Sentry: an event has the request id and no secret."""

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


class RecordingTransport(Transport):
    """Records the payloads instead of sending them."""

    def __init__(self, options=None):
        super().__init__(options)
        self.sent = []

    def capture_envelope(self, envelope):
        """Record the payloads."""
        self.sent += [item.payload.json for item in envelope.items if item.payload.json]

    def of(self, kind):
        """Return the only payload of a kind: None for an error, `transaction` for a trace."""
        (payload,) = [payload for payload in self.sent if payload.get("type") == kind]
        return payload


@pytest.fixture
def transport(monkeypatch):
    """Replace the network; switch Sentry off afterwards."""
    recorded = RecordingTransport()
    real = sentry.options
    monkeypatch.setattr(sentry, "options", lambda config: real(config) | {"transport": recorded})
    yield recorded
    sentry_sdk.get_client().close(timeout=0)
    sentry_sdk.get_global_scope().set_client(None)


def make_client(make_app, rate):
    """Return a client of an application with views that fail, with secrets in scope, and one that succeeds."""
    app = make_app(SENTRY_DSN=CONFIG["SENTRY_DSN"], SENTRY_TRACES_SAMPLE_RATE=rate, RELEASE="r1")

    def fail(name):
        password = CANARY
        raise RuntimeError(name) from DataError("SELECT 1", {"a": password}, Exception(f"bad\nDETAIL: {CANARY}"))

    def unavailable():
        raise DatabaseUnavailableError(CANARY)

    def fine():
        db.session.execute(text("SELECT :secret"), {"secret": CANARY})
        logging.getLogger("shop").error("an error that was handled")
        return "fine"

    app.add_url_rule("/fail/<name>", "fail", fail, methods=["POST"])
    app.add_url_rule("/unavailable", "unavailable", unavailable)
    app.add_url_rule("/fine", "fine", fine)
    return app.test_client(use_cookies=False)


@pytest.fixture(params=["0", "1"], ids=["untraced", "traced"])
def client(make_app, transport, request):  # noqa: ARG001 - it must exist before the application
    """A client of an application without traces, and of one with all of them."""
    return make_client(make_app, request.param)


@pytest.fixture
def traced(make_app, transport):  # noqa: ARG001
    """A client of an application with all traces."""
    return make_client(make_app, "1")


def fail(client):
    """Send a request that contains secrets and fails."""
    body = {"password": CANARY}
    return client.post(f"/fail/now?reset_token={CANARY}", headers=HEADERS, json=body)


def test_event_has_no_secret(client, transport):
    """An event has no local variables, query string, body, credentials or Referer."""
    fail(client)
    assert CANARY not in json.dumps(transport.of(None))


def test_event_has_no_address(client, transport):
    """An event has no client address."""
    fail(client)
    event = json.dumps(transport.of(None))
    assert "203.0.113.9" not in event
    assert "127.0.0.1" not in event


def test_event_has_request_id(client, transport):
    """An event has the request id, release, environment, exceptions and URL."""
    response = fail(client)
    event = transport.of(None)
    assert event["tags"]["request_id"] == response.headers["X-Request-ID"]
    assert (event["release"], event["environment"]) == ("r1", "testing")
    assert [value["value"] for value in event["exception"]["values"]] == ["bad [SQL: SELECT 1]", "now"]
    assert event["request"]["url"] == "http://localhost/fail/now"


@pytest.mark.parametrize("path", ["/unavailable", "/fine", "/nowhere"])
def test_no_event(client, transport, path):
    """An unavailable backend, a line at level ERROR, and a 404 create no event."""
    client.get(path)
    assert [payload for payload in transport.sent if payload.get("type") != "transaction"] == []


def test_event_rate_is_limited(client, transport):
    """Repeated failures create a limited number of events."""
    for _ in range(sentry.EVENT_BURST + 30):
        fail(client)
    events = [payload for payload in transport.sent if payload.get("type") != "transaction"]
    assert sentry.EVENT_BURST <= len(events) <= sentry.EVENT_BURST + 20


def test_token_bucket():
    """After the burst the bucket refills at its rate."""
    now = 0.0
    bucket = sentry.TokenBucket(3, 2.0, lambda: now)
    assert [bucket.take() for _ in range(4)] == [True, True, True, False]
    now = 1.0
    assert [bucket.take() for _ in range(3)] == [True, True, False]
    now = 100.0
    assert [bucket.take() for _ in range(4)] == [True, True, True, False]


def test_successful_request_costs_nothing(make_app, transport, monkeypatch):  # noqa: ARG001
    """Without traces a successful request does not even create a Sentry scope."""
    client = make_client(make_app, "0")
    monkeypatch.setattr(Scope, "fork", None)
    assert client.get("/fine").status_code == 200


def test_trace_has_no_secret(traced, transport):
    """A trace has no secret, its statements included."""
    traced.get(f"/fine?reset_token={CANARY}", headers=HEADERS)
    trace = transport.of("transaction")
    assert CANARY not in json.dumps(trace)
    assert "SELECT ?" in [span["description"] for span in trace["spans"]]


def test_health_is_not_traced(traced, transport):
    """Health checks and scrapes are not traced."""
    for path in ("/health", "/health/version", "/metrics"):
        traced.get(path)
    assert transport.sent == []
    traced.get("/fine")
    assert transport.of("transaction")["transaction"] == "fine"


def test_sample_rate():
    """SENTRY_TRACES_SAMPLE_RATE applies to all requests but health checks."""
    sampler = sentry.options(CONFIG | {"SENTRY_TRACES_SAMPLE_RATE": 0.25})["traces_sampler"]
    assert [sampler({"wsgi_environ": {"PATH_INFO": path}}) for path in ("/api/products", "/health/ready")] == [
        0.25,
        0.0,
    ]
    assert sampler({}) == 0.25


def test_off_without_a_dsn(make_app, monkeypatch):
    """Without SENTRY_DSN the client is not imported."""
    monkeypatch.setitem(sys.modules, "sentry_sdk", None)  # an import would fail
    make_app()
