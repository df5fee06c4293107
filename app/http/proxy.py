"""Trust in the proxies in front of the application."""

from flask import Flask
from werkzeug.middleware.proxy_fix import ProxyFix


def add_middleware(app: Flask) -> None:
    """Trust X-Forwarded-For and X-Forwarded-Proto from the configured number of proxies, and no other header."""
    if hops := app.config["TRUSTED_PROXIES"]:
        proxy_fix = ProxyFix(app.wsgi_app, x_for=hops, x_proto=hops, x_host=0, x_port=0, x_prefix=0)
        app.wsgi_app = proxy_fix  # type: ignore[method-assign]
