"""One id finds a request's trace: its span, its statements and its commands to Redis; through the real server."""

import json
import time

import psutil
import pytest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

from tests.support.helpers import free_port, wait_for
from tests.support.integration.client import ask, product, together
from tests.support.integration.receiver import Receiver
from tests.support.integration.servers import Gunicorn

CANARY = "hunter2-canary"
ID = "4bf92f3577b34da6a3ce929d0e0e4736"
PARENT = "00f067aa0ba902b7"
BEGUN = {"X-Request-ID": ID, "traceparent": f"00-{ID}-{PARENT}-01"}
SERVER, CLIENT = 2, 3


@pytest.fixture(scope="module")
def collector():
    """Take in OTLP."""
    receiver = Receiver()
    yield receiver
    receiver.close()


@pytest.fixture(scope="module")
def start(folder, postgres_url, valkey):
    """Return a function that starts the application with its traces sent to a port."""
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
    """The header of a client that may write."""
    return auth_for(postgres_url)


def spans(collector, trace_id=None):
    """Return what came, or what came of one trace."""
    found = []
    for path, body in list(collector.got):
        assert path == "/v1/traces"
        for part in ExportTraceServiceRequest.FromString(body).resource_spans:
            found += [span for scope in part.scope_spans for span in scope.spans]
    return [span for span in found if trace_id in {None, span.trace_id.hex()}]


def whole(collector, trace_id):
    """Wait for a trace's request, which comes last, and return all of it: the request, and the others by name."""
    wait_for(lambda: [span for span in spans(collector, trace_id) if span.kind == SERVER])
    found = spans(collector, trace_id)
    (request,) = [span for span in found if span.kind == SERVER]
    return request, {span.name: span for span in found if span is not request}


def told(span):
    """Return a span's attributes."""
    return {pair.key: pair.value.string_value or pair.value.int_value for pair in span.attributes}


def test_one_trace(server, collector, auth):
    """A list that is not cached is a trace with the request's id: its span within the proxy's, the others within it."""
    headers = BEGUN | auth
    assert ask(server.port, "POST", "/api/products", product(), headers).status == 201
    asked = ask(
        server.port,
        "GET",
        "/api/products?limit=3&q=mug",
        headers={"X-Request-ID": ID[::-1], "traceparent": f"00-{ID[::-1]}-{PARENT}-01"},
    )
    request, others = whole(collector, ID[::-1])
    assert asked.headers["X-Request-ID"] == ID[::-1]
    assert (request.name, request.parent_span_id.hex()) == ("GET /api/products", PARENT)
    assert told(request) == {"http.method": "GET", "http.route": "/api/products", "http.status_code": 200}
    assert {name.split()[0] for name in others} >= {"SELECT", "MGET", "SET"}
    assert {span.parent_span_id for span in others.values()} == {request.span_id}
    assert all(span.kind == CLIENT for span in others.values())
    request, others = whole(collector, ID)
    assert "INSERT" in {name.split()[0] for name in others}


def test_resource(server, collector):
    """A trace says which service of which release and environment it is of."""
    ask(server.port, "GET", "/api/docs")
    wait_for(lambda: spans(collector))
    (first, *_) = ExportTraceServiceRequest.FromString(collector.got[0][1]).resource_spans
    named = {pair.key: pair.value.string_value for pair in first.resource.attributes}
    assert (
        named.items()
        >= {"service.name": "shop", "service.version": "r1", "deployment.environment.name": "production"}.items()
    )


def test_without_a_proxys_trace(server, collector):
    """Where nobody began a trace and gave no id, the answer's id is the trace's."""
    request_id = ask(server.port, "GET", "/api/docs").headers["X-Request-ID"]
    request, _ = whole(collector, request_id)
    assert request.parent_span_id == b""


def test_another_id(server, collector):
    """A front that began a trace of its own and gave another id: each line of the request names both."""
    trace_id = "0af7651916cd43dd8448eb211c80319c"
    ask(
        server.port,
        "GET",
        "/api/docs",
        headers={"X-Request-ID": "from-the-front", "traceparent": f"00-{trace_id}-{PARENT}-01"},
    )
    whole(collector, trace_id)
    lines = [json.loads(line) for line in server.log.read_text().splitlines()]
    (line,) = [line for line in lines if line["request_id"] == "from-the-front"]
    assert line["trace_id"] == trace_id
    assert [line for line in lines if line["request_id"] == ID and "trace_id" in line] == []


@pytest.mark.parametrize("how", ["value_of_no_type", "value_that_is_there", "redis_command", "headers"])
def test_no_secret(server, collector, how):
    """No span tells a query, a header, a value or who asked, when the request fails neither."""
    headers = {
        "Authorization": f"Bearer {CANARY}",
        "Cookie": CANARY,
        "User-Agent": CANARY,
        "X-Forwarded-For": "203.0.113.9",
    }
    answer = ask(
        server.port,
        "POST",
        f"/fail/{how}?token={CANARY}",
        {"password": CANARY},
        headers | {"tracestate": f"a={CANARY}"},
    )
    request, _ = whole(collector, answer.headers["X-Request-ID"])
    assert told(request)["http.status_code"] == 500
    sent = b"".join(body for _, body in collector.got)
    assert CANARY.encode() not in sent
    assert b"203.0.113.9" not in sent


def test_nowhere(server, collector):
    """What is not found is a span without its path, of which there is no end."""
    request, _ = whole(collector, ask(server.port, "GET", "/nowhere/1").headers["X-Request-ID"])
    assert (request.name, told(request)) == ("GET", {"http.method": "GET", "http.status_code": 404})


def test_looks_at_health_make_none(server, collector):
    """Neither a look at health nor what it asks Postgres and Redis is a trace."""
    ids = [ask(server.port, "GET", path).headers["X-Request-ID"] for path in ("/health", "/health/ready")]
    assert ask(server.port, "GET", "/metrics").status == 200  # which has no id, as it is not in the log either
    behind = ask(server.port, "GET", "/api/docs").headers["X-Request-ID"]
    whole(collector, behind)
    assert [span for request_id in ids for span in spans(collector, request_id)] == []
    assert [span.name for span in spans(collector) if "/metrics" in span.name] == []
    assert [span.name for span in spans(collector) if span.kind == CLIENT and not span.parent_span_id] == []


def test_a_foreign_host(server, collector):
    """A request for a name that is not trusted answers 400, traced or not."""
    answer = ask(server.port, "GET", "/api/products", headers={"Host": "evil.example"})
    assert answer.status == 400
    assert told(whole(collector, answer.headers["X-Request-ID"])[0])["http.status_code"] == 400


def test_nobody_else_begins_a_trace(start, collector):
    """Without a proxy that is trusted, what a client says of a trace counts for nothing."""
    server = start(collector.port, TRUSTED_PROXIES="0")
    foreign = "11111111111111111111111111111111"
    answer = ask(server.port, "GET", "/api/docs", headers={"traceparent": f"00-{foreign}-{PARENT}-01"})
    request, _ = whole(collector, answer.headers["X-Request-ID"])
    assert request.parent_span_id == b""
    assert spans(collector, foreign) == []


def test_a_share(start, collector):
    """With a sampler of the standard's, that share of the requests is traced, whole or not at all."""
    server = start(collector.port, OTEL_TRACES_SAMPLER="traceidratio", OTEL_TRACES_SAMPLER_ARG="0.5")
    ids = [ask(server.port, "GET", "/api/products?limit=1").headers["X-Request-ID"] for _ in range(60)]
    assert server.stop() == 0
    kept = [request_id for request_id in ids if spans(collector, request_id)]
    assert 10 < len(kept) < 50
    assert all(SERVER in {span.kind for span in spans(collector, request_id)} for request_id in kept)


def test_a_stop_sends_what_waits(start, collector):
    """Spans of both workers that wait when the server is told to stop are sent before it ends."""
    server = start(collector.port, OTEL_BSP_SCHEDULE_DELAY="60000")
    asked = together(8, lambda _: [ask(server.port, "GET", "/api/docs").headers["X-Request-ID"] for _ in range(5)])
    assert server.stop() == 0
    assert [request_id for ids in asked for request_id in ids if not spans(collector, request_id)] == []


@pytest.mark.parametrize("away", [True, False], ids=["away", "silent"])
def test_collector_is_away(start, collector, away):
    """A collector that is away or silent slows no request, takes no memory without end, and delays no stop for long."""
    collector.open.clear()
    try:
        server = start(free_port() if away else collector.port, WEB_CONCURRENCY="1")
        worker = psutil.Process(server.process.pid).children()[0]
        [ask(server.port, "GET", "/api/products") for _ in range(300)]
        memory = worker.memory_info().rss
        times = [ask(server.port, "GET", "/api/products").seconds for _ in range(300)]
        assert sorted(times)[len(times) // 2] < 0.1
        assert max(times) < 1
        assert worker.memory_info().rss - memory < 8 * 2**20
        began = time.monotonic()
        assert server.stop() == 0
        assert time.monotonic() - began < 12
    finally:
        collector.open.set()
