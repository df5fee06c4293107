"""The application factory: what a request meets, in the order it meets it."""

import os
from collections.abc import Mapping

from flask import Flask

import config
from app import (
    cache,
    cache_control,
    cache_invalidation,
    cli,
    database,
    errors,
    logging_config,
    metrics,
    metrics_page,
    middleware,
    openapi,
    probes,
    request_log,
    request_metrics,
    routes,
    sentry,
    static_files,
)

# Each is one concern with one init_app; the order is the order in which a request meets them.
CONCERNS = (
    logging_config,
    metrics,
    middleware,
    request_metrics,  # it goes around what is there, as the next one does: whatever fails inside is counted
    metrics_page,
    request_log,
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
