"""Traces: off they are not there; on, requests alone are sampled, and a span tells what it may."""

import sys

import pytest
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from opentelemetry.trace import NonRecordingSpan, SpanContext, SpanKind, TraceFlags, set_span_in_context

from app.observability import trace_pipeline
from config import ConfigError, load

CANARY = "hunter2-canary"


@pytest.fixture
def kept():
    """Return what a collector would get."""
    return InMemorySpanExporter()


@pytest.fixture
def tracer(kept):
    """Return a function that makes a tracer with a sampler of the settings'."""

    def make(name="always_on", share=1.0):
        sampler = trace_pipeline._sampler({"OTEL_TRACES_SAMPLER": name, "OTEL_TRACES_SAMPLER_ARG": share})
        provider = TracerProvider(sampler, shutdown_on_exit=False)
        provider.add_span_processor(SimpleSpanProcessor(trace_pipeline.Discreet(kept)))
        return provider.get_tracer("test")

    return make


def remote(*, sampled):
    """Return the context of a trace that somebody else began."""
    flags = TraceFlags(TraceFlags.SAMPLED if sampled else TraceFlags.DEFAULT)
    return set_span_in_context(NonRecordingSpan(SpanContext(2**127, 1, is_remote=True, trace_flags=flags)))


def names(kept):
    """Return the names of the spans that were kept."""
    return [span.name for span in kept.get_finished_spans()]


def test_off_without_an_endpoint(make_app, monkeypatch):
    """Without an endpoint nothing is imported for traces, and a request has none."""
    monkeypatch.setitem(sys.modules, "opentelemetry", None)  # an import would fail
    monkeypatch.delitem(sys.modules, "app.observability.trace_pipeline")
    monkeypatch.delattr("app.observability.trace_pipeline")  # the package has it too, once it was imported
    app = make_app()
    assert app.test_client().get("/health").status_code == 200
    assert "tracing" not in app.extensions


@pytest.mark.parametrize("kind", [SpanKind.CLIENT, SpanKind.INTERNAL])
def test_only_requests_begin_a_trace(tracer, kept, kind):
    """What is done outside of a request, such as by a probe, is no trace."""
    tracer().start_span("SELECT", kind=kind).end()
    assert names(kept) == []


@pytest.mark.parametrize("path", ["/health", "/health/ready", "/metrics"])
def test_untraced(tracer, kept, path):
    """A look at health is none either, and nor is what happens within it."""
    with tracer().start_as_current_span("GET", kind=SpanKind.SERVER, attributes={"http.target": path}):
        tracer().start_span("SELECT", kind=SpanKind.CLIENT).end()
    assert names(kept) == []


@pytest.mark.parametrize(
    ("name", "share", "sampled", "counts"),
    [
        ("always_on", 1.0, False, True),
        ("always_off", 1.0, True, False),
        ("traceidratio", 0.0, True, False),
        ("traceidratio", 1.0, False, True),
        ("parentbased_always_on", 1.0, False, False),
        ("parentbased_always_off", 1.0, True, True),
        ("parentbased_traceidratio", 0.0, True, True),
    ],
)
def test_samplers(tracer, kept, name, share, sampled, counts):  # noqa: PLR0917 - a row of the table
    """The standard's samplers decide as it says, by who began the trace or by themselves."""
    tracer(name, share).start_span("GET /", remote(sampled=sampled), SpanKind.SERVER).end()
    assert bool(names(kept)) == counts


def test_a_trace_is_whole(tracer, kept):
    """With a share, what happens in a request is kept if and only if the request is."""
    for _ in range(50):
        with tracer("traceidratio", 0.5).start_as_current_span("GET /", kind=SpanKind.SERVER):
            tracer("traceidratio", 0.5).start_span("SELECT", kind=SpanKind.CLIENT).end()
    assert 0 < names(kept).count("GET") < 50
    assert names(kept).count("SELECT") == names(kept).count("GET")


def test_discreet(tracer, kept):
    """Of attributes only those that are known to be harmless leave; of an exception its type."""
    secrets = {"http.target": f"/x?t={CANARY}", "http.user_agent": CANARY, "net.peer.ip": CANARY, "url.query": CANARY}
    with (
        pytest.raises(ValueError, match=CANARY),
        tracer().start_as_current_span(
            f"GET /{CANARY}", kind=SpanKind.SERVER, attributes=secrets | {"http.method": "GET"}
        ),
    ):
        raise ValueError(CANARY)
    (span,) = kept.get_finished_spans()
    assert CANARY not in span.to_json()
    assert (span.name, dict(span.attributes)) == ("GET", {"http.method": "GET"})
    assert dict(span.events[0].attributes) == {"exception.type": "ValueError"}


def test_nobody_is_believed():
    """Where no proxy is trusted, a header begins no trace."""
    carrier = {"traceparent": "00-0af7651916cd43dd8448eb211c80319c-00f067aa0ba902b7-01"}
    assert trace_pipeline.Deaf().extract(carrier) == {}


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("OTEL_EXPORTER_OTLP_ENDPOINT", "collector:4318"),
        ("OTEL_EXPORTER_OTLP_ENDPOINT", "grpc://collector:4317"),
        ("OTEL_EXPORTER_OTLP_ENDPOINT", "http://"),
        ("OTEL_EXPORTER_OTLP_HEADERS", "api-key: abcdefgh"),
        ("OTEL_EXPORTER_OTLP_HEADERS", "one=1, two"),
        ("OTEL_EXPORTER_OTLP_HEADERS", 'api-key="abcdefgh"'),
        ("OTEL_TRACES_SAMPLER", "sometimes"),
        ("OTEL_TRACES_SAMPLER_ARG", "2"),
    ],
)
def test_refused(name, value):
    """What cannot be used is refused, by its name; a key of the collector is not quoted."""
    with pytest.raises(ConfigError, match=f"  {name}: ") as refusal:
        load("testing", {name: value})
    assert "abcdefgh" not in str(refusal.value)


@pytest.mark.parametrize("value", ["", "api-key=a=b==", " a=b , authorization=Basic YWJj,", "authorization=Bearer%20x"])
def test_headers(value):
    """What OpenTelemetry reads without a complaint is taken."""
    settings = load("testing", {"OTEL_EXPORTER_OTLP_HEADERS": value})
    assert value == settings.OTEL_EXPORTER_OTLP_HEADERS
