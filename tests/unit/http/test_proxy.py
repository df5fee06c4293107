"""What is believed about the client: two headers, from as many proxies as were declared, and nothing else."""

import pytest
from flask import jsonify, request, session

SPOOFED = {
    "X-Forwarded-For": "6.6.6.6, 203.0.113.9",
    "X-Forwarded-Proto": "https",
    "X-Forwarded-Host": "evil.example",
    "X-Forwarded-Port": "666",
    "X-Forwarded-Prefix": "/evil",
    "Forwarded": "for=6.6.6.6;host=evil.example;proto=https",
    "X-Real-IP": "6.6.6.6",
}


@pytest.fixture
def seen(make_app):
    """Return a function that says what a view sees of a request that claims much, behind so many proxies."""

    def ask(proxies, **headers):
        app = make_app(TRUSTED_PROXIES=str(proxies))
        app.add_url_rule("/seen", "seen", lambda: jsonify([request.remote_addr, request.url, request.script_root]))
        return app.test_client().get("/seen", headers=SPOOFED | headers).json

    return ask


def test_nobody_is_trusted(seen):
    """Without a proxy no header says who or where one is."""
    assert seen(0) == ["127.0.0.1", "http://localhost/seen", ""]


def test_one_proxy(seen):
    """The last address and the scheme are the proxy's word; host, port and prefix are never believed."""
    assert seen(1) == ["203.0.113.9", "https://localhost/seen", ""]


def test_two_proxies(seen):
    """Behind two proxies the last address but one is the client's."""
    assert seen(2, **{"X-Forwarded-Proto": "https, http"}) == ["6.6.6.6", "https://localhost/seen", ""]


def test_no_session(app, client):
    """No session is opened, so no cookie is ever sent, and nothing can be put into one by mistake."""
    app.add_url_rule("/session", "session", lambda: session.update(user=1) or "")
    assert client.get("/session").status_code == 500
    assert "Set-Cookie" not in client.get("/health").headers
