"""Trusted proxies: two headers, from the configured number of proxies."""

import pytest
from flask import jsonify, request

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
def seen_by_view(make_app):
    """Return a function that sends spoofed headers through a number of proxies and returns what the view sees."""

    def send(proxies, **headers):
        app = make_app(TRUSTED_PROXIES=str(proxies))
        app.add_url_rule("/seen", "seen", lambda: jsonify([request.remote_addr, request.url, request.script_root]))
        return app.test_client().get("/seen", headers=SPOOFED | headers).json

    return send


def test_no_proxy(seen_by_view):
    """Without a trusted proxy no forwarded header has an effect."""
    assert seen_by_view(0) == ["127.0.0.1", "http://localhost/seen", ""]


def test_one_proxy(seen_by_view):
    """Behind one proxy the last address and the scheme count; host, port and prefix never do."""
    assert seen_by_view(1) == ["203.0.113.9", "https://localhost/seen", ""]


def test_two_proxies(seen_by_view):
    """Behind two proxies the second to last address is the client's."""
    assert seen_by_view(2, **{"X-Forwarded-Proto": "https, http"}) == ["6.6.6.6", "https://localhost/seen", ""]
