"""Cache headers for caches in front of the application."""

import time

import pytest

from app import create_app


@pytest.fixture
def headers_for():
    """Return a function that responds with this Cache-Control, if any, and returns the headers."""
    app = create_app("testing", environ={})

    def send(cache_control, status=200):
        app.add_url_rule("/it", "it", lambda: ("x", status, {"Cache-Control": cache_control} if cache_control else {}))
        return app.test_client().get("/it").headers

    return send


@pytest.mark.parametrize("status", [200, 404])
def test_default_is_no_store(headers_for, status):
    """A response without Cache-Control gets no-store."""
    assert headers_for("", status)["Cache-Control"] == "no-store"


def test_cache_control_is_unchanged(headers_for):
    """A response with Cache-Control keeps it."""
    headers = headers_for("public, max-age=60")
    assert (headers["Cache-Control"], headers.get("X-Accel-Expires")) == ("public, max-age=60", None)


@pytest.mark.parametrize(
    ("cache_control", "status"),
    [
        *[("private, s-maxage=60", 200), ("s-maxage=60, no-store", 200), ("no-cache, s-maxage=60", 200)],
        *[("s-maxage=0", 200), ("public, s-maxage=60", 404), ("public, s-maxage=60", 500)],
    ],
)
def test_no_expiry_for_nginx(headers_for, cache_control, status):
    """A private or expired response or an error gets no X-Accel-Expires, which would override Cache-Control."""
    assert "X-Accel-Expires" not in headers_for(cache_control, status)


@pytest.mark.parametrize("seconds", [1, 60])
def test_expiry_for_nginx(headers_for, monkeypatch, seconds):
    """Nginx gets the last whole second in which it may serve the response."""
    monkeypatch.setattr(time, "time", lambda: 1_000_000.999)
    assert headers_for(f"public, max-age=0, s-maxage={seconds}")["X-Accel-Expires"] == f"@{999_999 + seconds}"
