"""Sessions: disabled. No view uses one, and Flask's default builds a cookie signer for each request."""

from typing import Any

from flask import Flask
from flask.sessions import SessionInterface


class DisabledSessions(SessionInterface):
    """Opens no session, so that Flask provides one that rejects writes."""

    def open_session(self, *_: Any) -> None:
        """Open no session."""

    def save_session(self, *_: Any) -> None:
        """Do nothing."""


def init_app(app: Flask) -> None:
    """Disable Flask's cookie sessions."""
    app.session_interface = DisabledSessions()
