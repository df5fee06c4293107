"""The application factory: what a request meets, in the order it meets it."""

import os
from collections.abc import Mapping

from flask import Flask

import config
from app import cli, routes
from app.cache import decorator as cache
from app.cache import invalidation as cache_invalidation
from app.db import session as database
from app.http import access_log as request_log
from app.http import cache_control, errors, openapi, static_files
from app.http import proxy as middleware
from app.observability import http_metrics as request_metrics
from app.observability import logging as logging_config
from app.observability import metrics, probes, sentry, tracing
from app.observability import metrics_endpoint as metrics_page

# Each is one concern with one init_app; the order is the order in which a request meets them.
CONCERNS = (
    logging_config,
    metrics,
    middleware,
    request_metrics,  # it goes around what is there, as the next one does: whatever fails inside is counted
    metrics_page,
    request_log,
    tracing,
    sentry,
    errors,
    cache_control,
    probes,
    database,
    cache,
    cache_invalidation,
    openapi,
    static_files,
    routes,
    cli,
)


def create_app(environment: str | None = None, environ: Mapping[str, str] = os.environ) -> Flask:
    """Build the application for ENVIRONMENT (default: FLASK_ENV, else production).

    Raises config.ConfigError, naming every setting that is missing or unusable, before anything is opened.
    """
    app = Flask(__name__)
    app.config.from_object(config.load(environment, environ))
    for concern in CONCERNS:
        concern.init_app(app)
    return app
