"""Tracing: off by default; on, it samples requests alone and exports allowed attributes alone."""

import sys
import time

import pytest
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor, SpanExportResult
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from opentelemetry.trace import NonRecordingSpan, SpanContext, SpanKind, TraceFlags, set_span_in_context

from app.observability import trace_pipeline
from config import ConfigError, load

CANARY = "hunter2-canary"


@pytest.fixture
def exported():
    """The spans that a collector would get."""
    return InMemorySpanExporter()


@pytest.fixture
def tracer(exported, monkeypatch):
    """Return a function that makes a tracer with the sampler that the environment names."""

    def make(name="always_on", share=1.0):
        monkeypatch.setenv("OTEL_TRACES_SAMPLER", name)
        monkeypatch.setenv("OTEL_TRACES_SAMPLER_ARG", str(share))
        provider = TracerProvider(shutdown_on_exit=False)
        provider.sampler = trace_pipeline.RequestSampler(provider.sampler)
        provider.add_span_processor(SimpleSpanProcessor(trace_pipeline.AllowlistExporter(exported)))
        return provider.get_tracer("test")

    return make


def remote(*, sampled):
    """Return the context of a trace that another service started."""
    flags = TraceFlags(TraceFlags.SAMPLED if sampled else TraceFlags.DEFAULT)
    return set_span_in_context(NonRecordingSpan(SpanContext(2**127, 1, is_remote=True, trace_flags=flags)))


def names(exported):
    """Return the names of the exported spans."""
    return [span.name for span in exported.get_finished_spans()]


def test_off_without_an_endpoint(make_app, monkeypatch):
    """Without an endpoint OpenTelemetry is not imported."""
    monkeypatch.setitem(sys.modules, "opentelemetry", None)  # an import would fail
    monkeypatch.delitem(sys.modules, "app.observability.trace_pipeline")
    monkeypatch.delattr("app.observability.trace_pipeline")  # the package has it too, once it was imported
    app = make_app()
    assert app.test_client().get("/health").status_code == 200
    assert "tracing" not in app.extensions


@pytest.mark.parametrize("kind", [SpanKind.CLIENT, SpanKind.INTERNAL])
def test_only_requests_start_a_trace(tracer, exported, kind):
    """Work outside of a request starts no trace."""
    tracer().start_span("SELECT", kind=kind).end()
    assert names(exported) == []


@pytest.mark.parametrize("path", ["/health", "/health/ready", "/metrics"])
def test_untraced_paths(tracer, exported, path):
    """Health checks and scrapes are not traced, nor is the work within them."""
    with tracer().start_as_current_span("GET", kind=SpanKind.SERVER, attributes={"http.target": path}):
        tracer().start_span("SELECT", kind=SpanKind.CLIENT).end()
    assert names(exported) == []


@pytest.mark.parametrize(
    ("name", "share", "sampled", "is_exported"),
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
def test_samplers(tracer, exported, name, share, sampled, is_exported):  # noqa: PLR0917 - a row of the table
    """OTEL_TRACES_SAMPLER decides for requests, with or without regard to the parent."""
    tracer(name, share).start_span("GET /", remote(sampled=sampled), SpanKind.SERVER).end()
    assert bool(names(exported)) == is_exported


def test_sampled_traces_are_complete(tracer, exported):
    """With a ratio, child spans are exported if and only if their request is."""
    for _ in range(50):
        with tracer("traceidratio", 0.5).start_as_current_span("GET /", kind=SpanKind.SERVER):
            tracer("traceidratio", 0.5).start_span("SELECT", kind=SpanKind.CLIENT).end()
    assert 0 < names(exported).count("GET") < 50
    assert names(exported).count("SELECT") == names(exported).count("GET")


def test_attributes_are_filtered(tracer, exported):
    """Only allowed attributes are exported, and of an exception its type."""
    secrets = {"http.target": f"/x?t={CANARY}", "http.user_agent": CANARY, "net.peer.ip": CANARY, "url.query": CANARY}
    with (
        pytest.raises(ValueError, match=CANARY),
        tracer().start_as_current_span(
            f"GET /{CANARY}", kind=SpanKind.SERVER, attributes=secrets | {"http.method": "GET"}
        ),
    ):
        raise ValueError(CANARY)
    (span,) = exported.get_finished_spans()
    assert CANARY not in span.to_json()
    assert (span.name, dict(span.attributes)) == ("GET", {"http.method": "GET"})
    assert dict(span.events[0].attributes) == {"exception.type": "ValueError"}


def test_untrusted_traceparent_is_ignored():
    """NoOpPropagator ignores a traceparent header."""
    carrier = {"traceparent": "00-0af7651916cd43dd8448eb211c80319c-00f067aa0ba902b7-01"}
    assert trace_pipeline.NoOpPropagator().extract(carrier) == {}


def test_shutdown_ends_after_failed_export(exported):
    """During shutdown one failed export drops the remaining spans: the collector is unavailable."""
    exporter = trace_pipeline.AllowlistExporter(exported)
    exporter.deadline = time.monotonic() + 60
    exported.shutdown()  # it fails from now on
    assert exporter.export([]) is SpanExportResult.FAILURE
    assert exporter.deadline < time.monotonic()


@pytest.mark.parametrize("sent", [0, 1])
def test_shutdown_drops_late_spans(tracer, exported, sent):
    """During shutdown spans are exported until the deadline, and dropped after it."""
    exporter = trace_pipeline.AllowlistExporter(exported)
    exporter.deadline = time.monotonic() + (60 if sent else -1)
    tracer().start_span("GET", kind=SpanKind.SERVER).end()
    spans = exported.get_finished_spans()
    exported.clear()
    assert exporter.export(spans) is (SpanExportResult.SUCCESS if sent else SpanExportResult.FAILURE)
    assert len(exported.get_finished_spans()) == sent


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
def test_invalid_setting(name, value):
    """An invalid setting is refused by name; an API key is not quoted."""
    with pytest.raises(ConfigError, match=f"  {name}: ") as error:
        load("testing", {name: value})
    assert "abcdefgh" not in str(error.value)


@pytest.mark.parametrize("value", ["", "api-key=a=b==", " a=b , authorization=Basic YWJj,", "authorization=Bearer%20x"])
def test_valid_headers(value):
    """Headers that OpenTelemetry accepts are accepted."""
    settings = load("testing", {"OTEL_EXPORTER_OTLP_HEADERS": value})
    assert value == settings.OTEL_EXPORTER_OTLP_HEADERS
