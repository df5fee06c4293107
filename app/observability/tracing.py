"""OpenTelemetry traces: off, and not imported, unless OTEL_EXPORTER_OTLP_ENDPOINT is set.

Each request is a span, and so is each SQL statement and Redis command within it. nginx starts the trace with the
request id as its trace id; without nginx the request takes its id from the trace.
"""

import atexit
from typing import Any

from flask import Flask, current_app
from sqlalchemy import Engine


def init_app(app: Flask) -> None:
    """Create the trace pipeline."""
    if not app.config["OTEL_EXPORTER_OTLP_ENDPOINT"]:
        return
    from app.observability import trace_pipeline  # noqa: PLC0415 - the import takes half a second

    pipeline = trace_pipeline.TracePipeline(app.config)
    app.extensions["tracing"] = pipeline
    atexit.register(pipeline.shutdown)


def add_middleware(app: Flask) -> None:
    """Create a span for each request, if tracing is on."""
    if pipeline := app.extensions.get("tracing"):
        pipeline.add_middleware(app)


def current_trace_id() -> str | None:
    """Return the trace id of the current request, None if tracing is off."""
    pipeline = current_app.extensions.get("tracing")
    return pipeline.current_trace_id() if pipeline else None


def instrument_engine(app: Flask, engine: Engine) -> None:
    """Create a span for each statement, if tracing is on."""
    if pipeline := app.extensions.get("tracing"):
        pipeline.instrument_engine(engine)


def instrument_redis(app: Flask, client: Any) -> None:
    """Create a span for each command, if tracing is on."""
    if pipeline := app.extensions.get("tracing"):
        pipeline.instrument_redis(client)
