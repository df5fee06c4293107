"""What stands between the server and the views: whom to believe about the client's address, and no sessions yet."""

from typing import Any

from flask import Flask
from flask.sessions import SessionInterface
from werkzeug.middleware.proxy_fix import ProxyFix


class NoSessions(SessionInterface):
    """Opens none: nothing here has one, and Flask's own costs each request a signer for a cookie that never comes."""

    def open_session(self, *_: Any) -> None:
        """Return nothing, which Flask turns into a session that cannot be written to."""

    def save_session(self, *_: Any) -> None:
        """Nothing was opened."""


def init_app(app: Flask) -> None:
    """Trust exactly as many proxies as are configured, for the two headers that they are known to set."""
    app.session_interface = NoSessions()
    if hops := app.config["TRUSTED_PROXIES"]:
        trusted = ProxyFix(app.wsgi_app, x_for=hops, x_proto=hops, x_host=0, x_port=0, x_prefix=0)
        app.wsgi_app = trusted  # type: ignore[method-assign]
