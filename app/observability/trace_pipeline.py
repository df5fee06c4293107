"""From spans to the collector: which are kept, what is told of them, and how they leave the process.

The batch processor begins anew in each process that is forked, so one that is made before the fork serves every
worker. It has a queue with an end (2,048 spans), from which a thread of its own sends: a collector that is away costs
spans, and no request any time.
"""

from collections.abc import Sequence
from typing import Any

import opentelemetry.instrumentation.flask as flask_spans
from flask import Flask, g, request
from opentelemetry import metrics, propagate, trace
from opentelemetry.context import Context
from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.instrumentation.redis import RedisInstrumentor
from opentelemetry.instrumentation.sqlalchemy.engine import EngineTracer
from opentelemetry.propagators.textmap import TextMapPropagator
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import Event, ReadableSpan, TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor, SpanExporter, SpanExportResult
from opentelemetry.sdk.trace.sampling import (
    ALWAYS_OFF,
    ALWAYS_ON,
    Decision,
    ParentBased,
    Sampler,
    SamplingResult,
    TraceIdRatioBased,
)
from opentelemetry.trace import SpanKind, Status
from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator
from opentelemetry.util.re import parse_env_headers
from sqlalchemy import Engine

from app.http.access_log import HEADER

UNTRACED = ("/health", "/metrics")
# All that a span may tell, by the old names of the semantic conventions and by the new: neither a query, a header nor a
# value, and not who asked.
TOLD = {"http.method", "http.route", "http.status_code", "http.request.method", "http.response.status_code"}
TOLD |= {"db.system", "db.name", "db.statement", "db.system.name", "db.namespace", "db.query.text", "exception.type"}
TOLD |= {"db.redis.args_length", "db.redis.pipeline_length"}


class Pipeline:
    """The provider of one application, and what it watches."""

    def __init__(self, config: Any) -> None:
        self.processor = BatchSpanProcessor(Discreet(_exporter(config)))
        self.provider = TracerProvider(_sampler(config), _resource(config), shutdown_on_exit=False)
        self.provider.add_span_processor(self.processor)
        # Whose word about a trace counts is whose word about the request's id does.
        propagate.set_global_textmap(TraceContextTextMapPropagator() if config["TRUSTED_PROXIES"] else Deaf())

    def watch_app(self, app: Flask) -> None:
        """Make a span of each request."""
        # With any list, an empty one too, it would look at each request's URL, which Flask refuses to tell when the
        # name asked for is not a trusted one: that 400 would become a 500.
        flask_spans._excluded_urls_from_env = None  # type: ignore[assignment]  # noqa: SLF001
        instrument: Any = flask_spans.FlaskInstrumentor.instrument_app
        instrument(app, tracer_provider=self.provider, enable_commenter=False)
        app.before_request(_agree)

    def watch_engine(self, engine: Engine) -> None:
        """Make a span of each statement; SQLAlchemyInstrumentor would watch every engine of the process."""
        connections = metrics.NoOpMeter("unused").create_up_down_counter("unused")
        tracer: Any = EngineTracer
        tracer(self.provider.get_tracer("sqlalchemy"), engine, connections)

    def watch_redis(self, client: Any) -> None:
        """Make a span of each command."""
        RedisInstrumentor.instrument_client(client, tracer_provider=self.provider)

    def close(self, milliseconds: int) -> None:
        """Send what waits, for as long at most."""
        self.processor._batch_processor.shutdown(milliseconds)  # noqa: SLF001 - the public one waits half a minute


def _agree() -> None:
    """Let request and trace have one id; where each was given another one, note the trace's for the log."""
    context = trace.get_current_span().get_span_context()
    if not context.is_valid:
        return
    trace_id = trace.format_trace_id(context.trace_id)
    if g.request_id != request.headers.get(HEADER):
        g.request_id = trace_id
    elif g.request_id != trace_id:
        g.trace_id = trace_id


def _exporter(config: Any) -> SpanExporter:
    headers = dict(parse_env_headers(config["OTEL_EXPORTER_OTLP_HEADERS"], liberal=True))
    return OTLPSpanExporter(config["OTEL_EXPORTER_OTLP_ENDPOINT"].rstrip("/") + "/v1/traces", headers=headers)


def _resource(config: Any) -> Resource:
    names = {"service.name": config["OTEL_SERVICE_NAME"], "service.version": config["RELEASE"]}
    return Resource.create(names | {"deployment.environment.name": config["ENVIRONMENT"]})


def _sampler(config: Any) -> Sampler:
    name, given = config["OTEL_TRACES_SAMPLER"], config["OTEL_TRACES_SAMPLER_ARG"]
    kinds = {"always_on": ALWAYS_ON, "always_off": ALWAYS_OFF, "traceidratio": TraceIdRatioBased(given)}
    kind: Sampler = kinds[name.removeprefix("parentbased_")]
    return OfRequests(ParentBased(kind) if name.startswith("parentbased_") else kind)


class Deaf(TextMapPropagator):
    """Takes no trace over from anybody, and hands none on. A CompositePropagator of none breaks every request."""

    def extract(self, carrier: Any, context: Context | None = None, getter: Any = None) -> Context:  # noqa: ARG002
        """Begin anew."""
        return context or Context()

    def inject(self, *_: Any, **__: Any) -> None:
        """Say nothing."""

    @property
    def fields(self) -> set[str]:
        """Return the headers that are written: none."""
        return set()


class OfRequests(Sampler):
    """Asks another sampler about requests alone; what happens in one follows it, what happens in none is not kept."""

    def __init__(self, requests: Sampler) -> None:
        self.requests = requests

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
        """Decide about a span that begins."""
        parent = trace.get_current_span(parent_context).get_span_context()
        if parent.is_valid and not parent.is_remote:
            return SamplingResult(Decision.RECORD_AND_SAMPLE if parent.trace_flags.sampled else Decision.DROP)
        if kind is not SpanKind.SERVER or _path(attributes or {}).startswith(UNTRACED):
            return SamplingResult(Decision.DROP)
        return self.requests.should_sample(parent_context, trace_id, name, kind, attributes, *rest, **named)

    def get_description(self) -> str:
        """Name it."""
        return f"OfRequests({self.requests.get_description()})"


def _path(attributes: Any) -> str:
    return str(attributes.get("http.target") or attributes.get("url.path") or "")


class Discreet(SpanExporter):
    """Hands on what may be told of a span: the names in TOLD and nothing else, so that a new version tells no more."""

    def __init__(self, exporter: SpanExporter) -> None:
        self.exporter = exporter

    def export(self, spans: Sequence[ReadableSpan]) -> SpanExportResult:
        """Send them."""
        return self.exporter.export([_discreet(span) for span in spans])

    def shutdown(self) -> None:
        """Give up what is under way."""
        self.exporter.shutdown()


def _discreet(span: ReadableSpan) -> ReadableSpan:
    """Return a copy that tells what it may. An exception's text is in the log, where the trace's id finds it."""
    told = _told(span.attributes)
    unmatched = span.kind is SpanKind.SERVER and "http.route" not in told
    return ReadableSpan(
        name=span.name.partition(" ")[0] if unmatched else span.name,  # behind it is the path
        context=span.context,
        parent=span.parent,
        resource=span.resource,
        attributes=told,
        events=[Event(event.name, _told(event.attributes), event.timestamp) for event in span.events],
        kind=span.kind,
        status=Status(span.status.status_code),
        start_time=span.start_time,
        end_time=span.end_time,
        instrumentation_scope=span.instrumentation_scope,
    )


def _told(attributes: Any) -> dict[str, Any]:
    return {name: value for name, value in (attributes or {}).items() if name in TOLD}
