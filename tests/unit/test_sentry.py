"""Error tracking: an event has the request's id, and no secret wherever that was in the request."""

import json
import sys

import pytest
import sentry_sdk
from sentry_sdk.transport import Transport

from app import sentry

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


@pytest.fixture
def client(make_app, transport):  # noqa: ARG001 - it must be there before the application
    """Asks an application whose /fail/<name> fails with a secret in a local variable, and whose /fine does not."""
    app = make_app(SENTRY_DSN=CONFIG["SENTRY_DSN"], SENTRY_TRACES_SAMPLE_RATE="1", RELEASE="r1")

    def fail(name):
        password = CANARY
        raise RuntimeError(name) from ValueError(len(password))

    app.add_url_rule("/fail/<name>", "fail", fail, methods=["POST"])
    app.add_url_rule("/fine", "fine", lambda: "fine")
    return app.test_client(use_cookies=False)


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
    assert event["exception"]["values"][-1]["value"] == "now"
    assert event["request"]["url"] == "http://localhost/fail/now"


def test_trace_has_no_secret(client, transport):
    """A trace of a request is as discreet as an event."""
    fail(client)
    assert CANARY not in json.dumps(transport.of("transaction"))


def test_health_is_not_traced(client, transport):
    """What load balancers ask every second is no trace; what people ask is."""
    client.get("/health")
    client.get("/health/version")
    assert transport.sent == []
    client.get("/fine")
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
