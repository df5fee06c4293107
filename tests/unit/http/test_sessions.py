"""Disabled sessions."""

from flask import session


def test_no_session(app, client):
    """Writing to the session fails, and no response sets a cookie."""
    app.add_url_rule("/session", "session", lambda: session.update(user=1) or "")
    assert client.get("/session").status_code == 500
    assert "Set-Cookie" not in client.get("/health").headers
