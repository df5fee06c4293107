"""Traces by OpenTelemetry: off, and nothing is imported for them, unless OTEL_EXPORTER_OTLP_ENDPOINT says whereto.

redis-py imports OpenTelemetry's metrics wherever that is installed; it uses nothing of them, and requests pay nothing.

A request is a span, as is each statement and each command to Redis that it waits for. The trace has the request's id:
nginx begins it with that, and where nobody did, the request takes its id from the trace. Where a front began a trace of
its own, each log line names both.
"""

import atexit
from typing import Any

from flask import Flask
from sqlalchemy import Engine

FAREWELL = 5000  # ms that a stopping worker waits for the collector; Gunicorn allows it 30 s in all


def init_app(app: Flask) -> None:
    """Make the provider, and a span of each request."""
    if not app.config["OTEL_EXPORTER_OTLP_ENDPOINT"]:
        return
    from app.observability import trace_pipeline  # noqa: PLC0415 - OpenTelemetry costs half a second, and most do without

    pipeline = trace_pipeline.Pipeline(app.config)
    app.extensions["tracing"] = pipeline
    pipeline.watch_app(app)
    atexit.register(pipeline.close, FAREWELL)


def watch_engine(app: Flask, engine: Engine) -> None:
    """Make a span of each statement, where traces are on."""
    if pipeline := app.extensions.get("tracing"):
        pipeline.watch_engine(engine)


def watch_redis(app: Flask, client: Any) -> None:
    """Make a span of each command, where traces are on."""
    if pipeline := app.extensions.get("tracing"):
        pipeline.watch_redis(client)
