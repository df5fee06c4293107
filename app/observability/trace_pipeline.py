"""The OpenTelemetry pipeline: sampling, an allowlist of attributes, and export to the collector.

The SDK reads OTEL_TRACES_SAMPLER, OTEL_BSP_* and the exporter's variables itself. Its batch processor restarts in each
forked worker and has a bounded queue, so an unavailable collector costs spans and no request time.
"""

import math
import time
from collections.abc import Sequence
from typing import Any

from flask import Flask, has_request_context, request
from opentelemetry import metrics, propagate, trace
from opentelemetry.context import Context
from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.instrumentation.redis import RedisInstrumentor
from opentelemetry.instrumentation.sqlalchemy.engine import EngineTracer
from opentelemetry.instrumentation.wsgi import OpenTelemetryMiddleware
from opentelemetry.propagators.textmap import TextMapPropagator
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import Event, ReadableSpan, TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor, SpanExporter, SpanExportResult
from opentelemetry.sdk.trace.sampling import Decision, Sampler, SamplingResult
from opentelemetry.trace import Span, SpanKind, Status
from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator
from opentelemetry.util.re import parse_env_headers
from sqlalchemy import Engine

# A stopping worker starts exports for SHUTDOWN_TIMEOUT_S and waits for the last one; graceful_timeout is 30.
EXPORT_TIMEOUT_S = SHUTDOWN_TIMEOUT_S = 5
UNTRACED_PATHS = ("/health", "/metrics")
# Old and new names of the semantic conventions. No query, header, parameter value or client address.
ALLOWED_ATTRIBUTES = {
    "http.method",
    "http.route",
    "http.status_code",
    "http.request.method",
    "http.response.status_code",
}
ALLOWED_ATTRIBUTES |= {"db.system", "db.name", "db.statement", "db.system.name", "db.namespace", "db.query.text"}
ALLOWED_ATTRIBUTES |= {"db.redis.args_length", "db.redis.pipeline_length", "exception.type"}


class TracePipeline:
    """The tracer provider of an application, and what it instruments."""

    def __init__(self, config: Any) -> None:
        self.exporter = AllowlistExporter(_otlp_exporter(config))
        self.provider = TracerProvider(resource=_resource(config), shutdown_on_exit=False)
        self.provider.sampler = RequestSampler(self.provider.sampler)  # around the one that OTEL_TRACES_SAMPLER names
        self.provider.add_span_processor(BatchSpanProcessor(self.exporter))
        # Trust traceparent only from trusted proxies, as for X-Request-ID.
        propagate.set_global_textmap(TraceContextTextMapPropagator() if config["TRUSTED_PROXIES"] else NoOpPropagator())

    def add_middleware(self, app: Flask) -> None:
        """Create a span for each request."""
        app.wsgi_app = OpenTelemetryMiddleware(  # type: ignore[method-assign]
            app.wsgi_app, response_hook=_add_route, tracer_provider=self.provider
        )

    def instrument_engine(self, engine: Engine) -> None:
        """Create a span for each statement; SQLAlchemyInstrumentor would patch every engine of the process."""
        unused = metrics.NoOpMeter("unused").create_up_down_counter("unused")
        tracer: Any = EngineTracer
        tracer(self.provider.get_tracer("sqlalchemy"), engine, unused)

    def instrument_redis(self, client: Any) -> None:
        """Create a span for each command."""
        RedisInstrumentor.instrument_client(client, tracer_provider=self.provider)

    @staticmethod
    def current_trace_id() -> str | None:
        """Return the trace id of the current span."""
        context = trace.get_current_span().get_span_context()
        return trace.format_trace_id(context.trace_id) if context.is_valid else None

    def shutdown(self) -> None:
        """Export the queued spans within SHUTDOWN_TIMEOUT_S, and drop the rest."""
        self.exporter.deadline = time.monotonic() + SHUTDOWN_TIMEOUT_S
        self.provider.shutdown()


def _add_route(span: Span, _environ: Any, _status: str, _headers: Any) -> None:
    if has_request_context() and request.url_rule:
        span.set_attribute("http.route", request.url_rule.rule)
        span.update_name(f"{request.method} {request.url_rule.rule}")


def _otlp_exporter(config: Any) -> SpanExporter:
    """Pass what the SDK cannot read: config.py accepts each variable as a file too."""
    endpoint = config["OTEL_EXPORTER_OTLP_ENDPOINT"].rstrip("/") + "/v1/traces"
    headers = dict(parse_env_headers(config["OTEL_EXPORTER_OTLP_HEADERS"], liberal=True))
    return OTLPSpanExporter(endpoint, headers=headers, timeout=EXPORT_TIMEOUT_S)


def _resource(config: Any) -> Resource:
    names = {"service.name": config["OTEL_SERVICE_NAME"], "service.version": config["RELEASE"]}
    return Resource.create(names | {"deployment.environment.name": config["ENVIRONMENT"]})


class NoOpPropagator(TextMapPropagator):
    """Ignore incoming trace headers and send none. An empty CompositePropagator would break every request."""

    def extract(self, carrier: Any, context: Context | None = None, getter: Any = None) -> Context:  # noqa: ARG002
        """Return the context unchanged."""
        return context or Context()

    def inject(self, *_: Any, **__: Any) -> None:
        """Do nothing."""

    @property
    def fields(self) -> set[str]:
        """Return the headers to write: none."""
        return set()


class RequestSampler(Sampler):
    """Apply a sampler to requests; their child spans follow, and spans outside of a request are dropped."""

    def __init__(self, sampler: Sampler) -> None:
        self.sampler = sampler

    def should_sample(
        self,
        parent_context: Any,
        trace_id: int,
        name: str,
        kind: Any = None,
        attributes: Any = None,
        *rest: Any,
        **named: Any,
    ) -> SamplingResult:
        """Decide for a span that starts."""
        parent = trace.get_current_span(parent_context).get_span_context()
        if parent.is_valid and not parent.is_remote:
            return SamplingResult(Decision.RECORD_AND_SAMPLE if parent.trace_flags.sampled else Decision.DROP)
        if kind is not SpanKind.SERVER or _path(attributes or {}).startswith(UNTRACED_PATHS):
            return SamplingResult(Decision.DROP)
        return self.sampler.should_sample(parent_context, trace_id, name, kind, attributes, *rest, **named)

    def get_description(self) -> str:
        """Return the name for diagnostics."""
        return f"RequestSampler({self.sampler.get_description()})"


def _path(attributes: Any) -> str:
    return str(attributes.get("http.target") or attributes.get("url.path") or "")


class AllowlistExporter(SpanExporter):
    """Export only ALLOWED_ATTRIBUTES, so that a new version of an instrumentation sends nothing more."""

    def __init__(self, exporter: SpanExporter) -> None:
        self.exporter = exporter
        self.deadline = math.inf

    def export(self, spans: Sequence[ReadableSpan]) -> SpanExportResult:
        """Export the spans. During shutdown, drop them after the deadline or a failed export."""
        if time.monotonic() > self.deadline:
            return SpanExportResult.FAILURE
        result = self.exporter.export([_filter_span(span) for span in spans])
        if result is SpanExportResult.FAILURE and self.deadline < math.inf:
            self.deadline = -math.inf
        return result

    def shutdown(self) -> None:
        """Cancel retries."""
        self.exporter.shutdown()


def _filter_span(span: ReadableSpan) -> ReadableSpan:
    """Return a copy with the allowed attributes. An exception's message is in the log, under the trace id."""
    attributes = _filter_attributes(span.attributes)
    is_unmatched = span.kind is SpanKind.SERVER and "http.route" not in attributes
    return ReadableSpan(
        name=span.name.partition(" ")[0]
        if is_unmatched
        else span.name,  # the name of an unmatched request has its path
        context=span.context,
        parent=span.parent,
        resource=span.resource,
        attributes=attributes,
        events=[Event(event.name, _filter_attributes(event.attributes), event.timestamp) for event in span.events],
        kind=span.kind,
        status=Status(span.status.status_code),
        start_time=span.start_time,
        end_time=span.end_time,
        instrumentation_scope=span.instrumentation_scope,
    )


def _filter_attributes(attributes: Any) -> dict[str, Any]:
    return {name: value for name, value in (attributes or {}).items() if name in ALLOWED_ATTRIBUTES}
