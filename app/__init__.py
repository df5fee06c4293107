"""The application factory."""

import os
from collections.abc import Mapping

from flask import Flask

import config
from app import auth, cache, cli, routes
from app.db import session
from app.http import access_log, cache_control, errors, openapi, proxy, request_id, sessions, static_files
from app.observability import http_metrics, logging, metrics, metrics_endpoint, probes, sentry, tracing

# A request passes these modules from top to bottom, and its response from bottom to top.
WSGI_MIDDLEWARE = (
    metrics_endpoint,
    http_metrics,
    proxy,
    sentry,
    tracing,
    access_log,
)
EXTENSIONS = (
    logging,
    metrics,
    sessions,
    request_id,
    tracing,
    sentry,
    errors,
    cache_control,
    probes,
    session,
    cache,
    openapi,
    auth,
    static_files,
    routes,
    cli,
)


def create_app(environment: str | None = None, environ: Mapping[str, str] = os.environ) -> Flask:
    """Build the application for ENVIRONMENT (default: FLASK_ENV, else production).

    Raises config.ConfigError with every missing or invalid setting before it opens anything.
    """
    app = Flask(__name__)
    app.config.from_object(config.load(environment, environ))
    # Hooks run in the order of their registration, but each WSGI middleware wraps those before it.
    for extension in EXTENSIONS:
        extension.init_app(app)
    for middleware in reversed(WSGI_MIDDLEWARE):
        middleware.add_middleware(app)
    return app
