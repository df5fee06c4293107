"""Who asks, and by which id, in production: Nginx alone says so, and believes only the proxies that it is told of."""

import re

import pytest

from tests.support.stack.client import is_problem, raw_tls
from tests.support.stack.edge import CDN
from tests.support.stack.server import HOST

GIVEN = "given-by-the-proxy"
FORGED = {
    "X-Forwarded-For": "203.0.113.9",
    "X_Forwarded_For": "203.0.113.8",
    "X-Forwarded-Host": "evil.example",
    "X-Forwarded-Proto": "https",
    "X-Forwarded-Prefix": "/evil",
    "X-Forwarded-Port": "666",
    "X-Real-IP": "203.0.113.7",
    "Forwarded": "for=203.0.113.6;host=evil.example;proto=https",
    "X-Request-ID": "forged-forged-forged",
    "traceparent": "00-f0f0f0f0f0f0f0f0f0f0f0f0f0f0f0f0-f0f0f0f0f0f0f0f0-01",
    "tracestate": "forged=1",
    "baggage": "forged=2",
}
SAME = ("client", "release", "method", "path", "status")
OWN = {"X-Request-ID", "traceparent"}  # new for each request


@pytest.fixture(scope="module")
def behind(new_edge):
    """Return Nginx behind a CDN: the tests, whatever address Docker gives them."""
    return new_edge(CDN_NETWORKS=CDN)


def forged(path):
    """Return the bytes of a GET with every header forged."""
    lines = [f"GET {path} HTTP/1.1", f"Host: {HOST}", "Connection: close"]
    lines += [f"{name}: {value}" for name, value in FORGED.items()]
    return ("\r\n".join(lines) + "\r\n\r\n").encode()


def test_nothing_forged_gets_through(edge):
    """Of all the forged headers none reaches what stands behind Nginx, and what it says itself is true."""
    answer = raw_tls(edge.https, forged("/page"), HOST)
    got = {name.lower(): value for name, value in answer.json["headers"]}
    assert [value for value in got.values() if value in FORGED.values() and value != "https"] == []
    assert (got["host"], got["x-forwarded-proto"]) == (HOST, "https")
    assert set(got) >= {"x-forwarded-for", "x-request-id"}
    assert set(got) & {"x-forwarded-host", "x-forwarded-prefix", "x-forwarded-port", "x-real-ip", "forwarded"} == set()


@pytest.mark.parametrize("path", ["/metrics", "//metrics", "/%6detrics", "/x/../metrics", "/metrics?x=1"])
def test_metrics_are_not_for_outside(edge, path):
    """However the path is written, a request for the metrics gets to nobody behind Nginx."""
    answer = raw_tls(edge.https, forged(path), HOST)
    assert is_problem(answer, 404), answer
    assert answer.json["instance"] == "-"


@pytest.mark.parametrize("name", [*FORGED])
def test_no_single_header_changes_what_the_application_sees(edge, name):
    """No header alone changes anything that reaches the application, but what is new for each request."""
    plain, one = (edge.get("/page", headers=headers).json["headers"] for headers in ({}, {name: FORGED[name]}))
    assert [pair for pair in plain if pair[0] not in OWN] == [pair for pair in one if pair[0] not in OWN]
    assert [FORGED[name] for name in OWN if FORGED[name] in str(one)] == []


def test_a_trace_begins_with_the_id(edge):
    """What reaches the application belongs to a trace whose id is the request's."""
    answer = edge.get("/page")
    got = dict(answer.json["headers"])
    assert re.fullmatch(f"00-{answer.request_id}-{answer.request_id[:16]}-01", got["traceparent"])


def test_a_fronts_trace_goes_on(behind):
    """A CDN's trace is handed on if it is well-formed; whatever else it sends for one is not."""
    trace = FORGED["traceparent"].removesuffix("01")
    for given, taken in ((f"{trace}01", True), (f"{trace}02", True), (f"{trace}03", True), ("00-zz-zz-01", False)):
        answer = behind.get("/page", headers={"traceparent": given})
        got = dict(answer.json["headers"])["traceparent"]
        assert got == (given if taken else f"00-{answer.request_id}-{answer.request_id[:16]}-01")


def test_the_application_logs_nginxs_view(server):
    """With every header forged, the application logs the client and the request that Nginx logs, and nothing forged."""
    answer = raw_tls(server.https, forged("/health?a=b"), HOST)
    assert re.fullmatch(r"[0-9a-f]{32}", answer.request_id)
    lines = [server.log_line(name, answer.request_id) for name in ("nginx", f"web-{server.status()['active_colour']}")]
    assert [lines[0][name] for name in SAME] == [lines[1][name] for name in SAME]
    assert "X-Release" not in answer.headers
    assert [value for value in FORGED.values() if value in str(lines)] == []


def test_redirects_know_only_the_host_that_was_asked_for(server):
    """With every header forged, a redirect leads where it would have led."""
    assert raw_tls(server.https, forged("/api//products"), HOST).headers["Location"] == f"https://{HOST}/api/products"


def test_the_log_is_utf8(edge):
    """A byte that belongs into no address ends the path that is logged: the line stays one that can be read."""
    answer = raw_tls(edge.https, forged("/page?").replace(b"?", b"/\xff\xfe"), HOST)
    line = edge.log_line("nginx", answer.request_id)
    assert (line["path"], line["status"]) == ("/page/", answer.status)


def test_the_log_says_how_it_was_answered(edge):
    """A line has the id, the times, whether it was kept, and the protocol and the version of TLS."""
    answers = [edge.get("/logged", header="Cache-Control:public, s-maxage=60") for _ in range(2)]
    lines = [edge.log_line("nginx", answer.request_id) for answer in answers]
    assert [(line["cache"], line["tls"], line["protocol"]) for line in lines] == [
        ("MISS", "TLSv1.3", "HTTP/1.1"),
        ("HIT", "TLSv1.3", "HTTP/1.1"),
    ]
    assert float(lines[0]["upstream_s"]) >= 0
    assert lines[1]["upstream_s"] == ""


def test_a_proxy_in_front_is_believed(behind):
    """The client that a known proxy names is who the application, and the log, take it to be."""
    answer = behind.get("/page", headers={"X-Forwarded-For": "6.6.6.6, 203.0.113.5"})
    assert dict(answer.json["headers"])["X-Forwarded-For"] == "203.0.113.5"
    assert behind.log_line("nginx", answer.request_id)["client"] == "203.0.113.5"


def test_the_proxys_id_is_taken_over(behind):
    """A well-formed id from a known proxy is the request's id, for the application, in the answer and in the log."""
    answer = behind.get("/page", headers={"X-Request-ID": GIVEN})
    assert (dict(answer.json["headers"])["X-Request-ID"], answer.request_id) == (GIVEN, GIVEN)
    assert behind.log_line("nginx", GIVEN)["path"] == "/page"


@pytest.mark.parametrize("given", ["short", "a" * 65, "with space here", 'quote"quote', "semi;colon", ""])
def test_an_id_that_is_not_well_formed_is_not(behind, given):
    """What could break a log line, or fill it, is not taken over, even from a known proxy."""
    answer = behind.get("/page", headers={"X-Request-ID": given})
    assert re.fullmatch(r"[0-9a-f]{32}", answer.request_id)


def test_two_ids_are_none(behind):
    """Two ids in one request are not taken over."""
    lines = [
        "GET /page HTTP/1.1",
        f"Host: {HOST}",
        f"X-Request-ID: {GIVEN}",
        "X-Request-ID: another-one",
        "Connection: close",
    ]
    answer = raw_tls(behind.https, ("\r\n".join(lines) + "\r\n\r\n").encode(), HOST)
    assert re.fullmatch(r"[0-9a-f]{32}", answer.request_id)
