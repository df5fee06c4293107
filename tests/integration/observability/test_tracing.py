"""Traces of the real server: the request id finds the request, its SQL statements and its Redis commands."""

import json
import time

import psutil
import pytest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

from tests.support.helpers import free_port, wait_for
from tests.support.integration.client import product, send_request, together
from tests.support.integration.receiver import Receiver
from tests.support.integration.servers import Gunicorn

CANARY = "hunter2-canary"
ID = "4bf92f3577b34da6a3ce929d0e0e4736"
PARENT = "00f067aa0ba902b7"
TRACEPARENT = {"X-Request-ID": ID, "traceparent": f"00-{ID}-{PARENT}-01"}
SERVER, CLIENT = 2, 3


@pytest.fixture(scope="module")
def collector():
    """A server that receives OTLP."""
    receiver = Receiver()
    yield receiver
    receiver.close()


@pytest.fixture(scope="module")
def start(folder, postgres_url, valkey):
    """Return a function that starts the application, which sends its traces to a port."""
    started = []

    def run(port, **environ):
        settings = {"DATABASE_URL": postgres_url, "REDIS_URL": valkey.url, "WEB_CONCURRENCY": "2", "RELEASE": "r1"}
        settings |= {"TRUSTED_PROXIES": "1", "OTEL_EXPORTER_OTLP_ENDPOINT": f"http://127.0.0.1:{port}"}
        settings |= {"OTEL_SERVICE_NAME": "shop", "OTEL_BSP_SCHEDULE_DELAY": "100"}
        started.append(Gunicorn(folder, site="tests.support.integration.failing_site:app", **settings | environ))
        return started[-1].start()

    yield run
    for server in started:
        server.kill()


@pytest.fixture(scope="module")
def server(start, collector):
    """Such a server, with two workers."""
    return start(collector.port)


@pytest.fixture(scope="module")
def auth(auth_for, postgres_url):
    """The Authorization header of a client with write access."""
    return auth_for(postgres_url)


def spans(collector, trace_id=None):
    """Return the received spans, of all traces or of one."""
    found = []
    for path, body in list(collector.got):
        assert path == "/v1/traces"
        for part in ExportTraceServiceRequest.FromString(body).resource_spans:
            found += [span for scope in part.scope_spans for span in scope.spans]
    return [span for span in found if trace_id in {None, span.trace_id.hex()}]


def complete_trace(collector, trace_id):
    """Wait for the span of the request, which arrives last; return it, and the other spans by name."""
    wait_for(lambda: [span for span in spans(collector, trace_id) if span.kind == SERVER])
    found = spans(collector, trace_id)
    (request,) = [span for span in found if span.kind == SERVER]
    return request, {span.name: span for span in found if span is not request}


def attributes(span):
    """Return a span's attributes."""
    return {pair.key: pair.value.string_value or pair.value.int_value for pair in span.attributes}


@pytest.mark.guarantee("A request, its SQL statements and its Redis commands are one trace with the request id")
def test_one_trace(server, collector, auth):
    """An uncached list is one trace with the request id; SQL and Redis spans are children of the request."""
    headers = TRACEPARENT | auth
    assert send_request(server.port, "POST", "/api/products", product(), headers).status == 201
    response = send_request(
        server.port,
        "GET",
        "/api/products?limit=3&q=mug",
        headers={"X-Request-ID": ID[::-1], "traceparent": f"00-{ID[::-1]}-{PARENT}-01"},
    )
    request, others = complete_trace(collector, ID[::-1])
    assert response.headers["X-Request-ID"] == ID[::-1]
    assert (request.name, request.parent_span_id.hex()) == ("GET /api/products", PARENT)
    assert attributes(request) == {"http.method": "GET", "http.route": "/api/products", "http.status_code": 200}
    assert {name.split()[0] for name in others} >= {"SELECT", "MGET", "SET"}
    assert {span.parent_span_id for span in others.values()} == {request.span_id}
    assert all(span.kind == CLIENT for span in others.values())
    request, others = complete_trace(collector, ID)
    assert "INSERT" in {name.split()[0] for name in others}


def test_resource(server, collector):
    """A trace has the service name, release and environment."""
    send_request(server.port, "GET", "/api/docs")
    wait_for(lambda: spans(collector))
    (first, *_) = ExportTraceServiceRequest.FromString(collector.got[0][1]).resource_spans
    named = {pair.key: pair.value.string_value for pair in first.resource.attributes}
    assert (
        named.items()
        >= {"service.name": "shop", "service.version": "r1", "deployment.environment.name": "production"}.items()
    )


def test_without_traceparent(server, collector):
    """Without traceparent and X-Request-ID the request id is the trace id."""
    request_id = send_request(server.port, "GET", "/api/docs").headers["X-Request-ID"]
    request, _ = complete_trace(collector, request_id)
    assert request.parent_span_id == b""


@pytest.mark.parametrize(
    ("request_id", "trace_id"),
    [("from-the-proxy", f"{1:032x}"), (f"{2:032x}", f"{2:032x}")],
    ids=["different", "equal"],
)
def test_two_ids_in_a_line(server, collector, request_id, trace_id):
    """When the proxy sends a trace id and a request id, equal or not, each line of the request has both."""
    headers = {"X-Request-ID": request_id, "traceparent": f"00-{trace_id}-{PARENT}-01"}
    send_request(server.port, "GET", "/api/docs", headers=headers)
    complete_trace(collector, trace_id)
    lines = [json.loads(line) for line in server.log.read_text().splitlines()]
    assert {line["trace_id"] for line in lines if line["request_id"] == request_id} == {trace_id}


@pytest.mark.guarantee("No span contains a query string, a header, a parameter value or a client address")
@pytest.mark.parametrize("how", ["invalid_value", "duplicate_value", "redis_command", "headers"])
def test_no_secret(server, collector, how):
    """No span of a failed request has a query string, a header, a parameter value or the client address."""
    headers = {
        "Authorization": f"Bearer {CANARY}",
        "Cookie": CANARY,
        "User-Agent": CANARY,
        "X-Forwarded-For": "203.0.113.9",
    }
    response = send_request(
        server.port,
        "POST",
        f"/fail/{how}?token={CANARY}",
        {"password": CANARY},
        headers | {"tracestate": f"a={CANARY}"},
    )
    request, _ = complete_trace(collector, response.headers["X-Request-ID"])
    assert attributes(request)["http.status_code"] == 500
    sent = b"".join(body for _, body in collector.got)
    assert CANARY.encode() not in sent
    assert b"203.0.113.9" not in sent


def test_unmatched_path(server, collector):
    """The span of an unmatched request has no path, so that names are limited."""
    request, _ = complete_trace(collector, send_request(server.port, "GET", "/nowhere/1").headers["X-Request-ID"])
    assert (request.name, attributes(request)) == ("GET", {"http.method": "GET", "http.status_code": 404})


def test_health_is_not_traced(server, collector):
    """Neither a health check nor its statements and commands are traced."""
    ids = [send_request(server.port, "GET", path).headers["X-Request-ID"] for path in ("/health", "/health/ready")]
    assert send_request(server.port, "GET", "/metrics").status == 200  # without an id, as it is not logged
    last_id = send_request(server.port, "GET", "/api/docs").headers["X-Request-ID"]
    complete_trace(collector, last_id)
    assert [span for request_id in ids for span in spans(collector, request_id)] == []
    assert [span.name for span in spans(collector) if "/metrics" in span.name] == []
    assert [span.name for span in spans(collector) if span.kind == CLIENT and not span.parent_span_id] == []


def test_untrusted_host(server, collector):
    """A request for an untrusted host gets 400, traced too."""
    response = send_request(server.port, "GET", "/api/products", headers={"Host": "evil.example"})
    assert response.status == 400
    assert attributes(complete_trace(collector, response.headers["X-Request-ID"])[0])["http.status_code"] == 400


def test_untrusted_traceparent(start, collector):
    """Without a trusted proxy the traceparent header is ignored."""
    server = start(collector.port, TRUSTED_PROXIES="0")
    foreign = "11111111111111111111111111111111"
    response = send_request(server.port, "GET", "/api/docs", headers={"traceparent": f"00-{foreign}-{PARENT}-01"})
    request, _ = complete_trace(collector, response.headers["X-Request-ID"])
    assert request.parent_span_id == b""
    assert spans(collector, foreign) == []


def test_sampling(start, collector):
    """With traceidratio that share of the requests is traced, each completely or not at all."""
    server = start(collector.port, OTEL_TRACES_SAMPLER="traceidratio", OTEL_TRACES_SAMPLER_ARG="0.5")
    ids = [send_request(server.port, "GET", "/api/products?limit=1").headers["X-Request-ID"] for _ in range(60)]
    assert server.stop() == 0
    traced = [request_id for request_id in ids if spans(collector, request_id)]
    assert 10 < len(traced) < 50
    assert all(SERVER in {span.kind for span in spans(collector, request_id)} for request_id in traced)


@pytest.mark.guarantee("A stopping server sends its queued Sentry events and spans")
def test_stop_sends_queued_spans(start, collector):
    """Queued spans of both workers are sent before the server stops."""
    server = start(collector.port, OTEL_BSP_SCHEDULE_DELAY="60000")
    requests = together(
        8, lambda _: [send_request(server.port, "GET", "/api/docs").headers["X-Request-ID"] for _ in range(5)]
    )
    assert server.stop() == 0
    assert [request_id for ids in requests for request_id in ids if not spans(collector, request_id)] == []


@pytest.mark.guarantee("An unavailable or hanging Sentry or trace collector slows no request")
@pytest.mark.parametrize("is_down", [True, False], ids=["unavailable", "hanging"])
def test_collector_outage(start, collector, is_down):
    """An unavailable or hanging collector slows no request, uses bounded memory, and delays a stop by seconds."""
    collector.open.clear()
    try:
        server = start(free_port() if is_down else collector.port, WEB_CONCURRENCY="1")
        worker = psutil.Process(server.process.pid).children()[0]
        [send_request(server.port, "GET", "/api/products") for _ in range(300)]
        memory = worker.memory_info().rss
        times = [send_request(server.port, "GET", "/api/products").seconds for _ in range(300)]
        assert sorted(times)[len(times) // 2] < 0.1
        assert max(times) < 1
        assert worker.memory_info().rss - memory < 8 * 2**20
        started_at = time.monotonic()
        assert server.stop() == 0
        assert time.monotonic() - started_at < 12
    finally:
        collector.open.set()
