"""Client address and request id in production: nginx sets them and trusts only configured proxies."""

import re

import pytest

from tests.support.stack.client import is_problem, raw_tls
from tests.support.stack.edge import CDN
from tests.support.stack.server import HOST

CDN_REQUEST_ID = "request-id-from-cdn"
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
SHARED_FIELDS = ("client", "release", "method", "path", "status")
PER_REQUEST = {"X-Request-ID", "traceparent"}  # new for each request


@pytest.fixture(scope="module")
def behind_cdn(new_edge):
    """Nginx behind a CDN; every address of the tests' network counts as the CDN."""
    return new_edge(CDN_NETWORKS=CDN)


def forged_request(path):
    """Return the bytes of a GET with every forged header."""
    lines = [f"GET {path} HTTP/1.1", f"Host: {HOST}", "Connection: close"]
    lines += [f"{name}: {value}" for name, value in FORGED.items()]
    return ("\r\n".join(lines) + "\r\n\r\n").encode()


@pytest.mark.guarantee("Forged forwarding headers change nothing that the application trusts or logs")
def test_no_forged_header_reaches_the_application(edge):
    """Nginx removes every forged header and sets its own values."""
    response = raw_tls(edge.https, forged_request("/page"), HOST)
    forwarded = {name.lower(): value for name, value in response.json["headers"]}
    assert [value for value in forwarded.values() if value in FORGED.values() and value != "https"] == []
    assert (forwarded["host"], forwarded["x-forwarded-proto"]) == (HOST, "https")
    assert set(forwarded) >= {"x-forwarded-for", "x-request-id"}
    assert (
        set(forwarded) & {"x-forwarded-host", "x-forwarded-prefix", "x-forwarded-port", "x-real-ip", "forwarded"}
        == set()
    )


@pytest.mark.parametrize("path", ["/metrics", "//metrics", "/%6detrics", "/x/../metrics", "/metrics?x=1"])
def test_metrics_are_not_public(edge, path):
    """Any spelling of the path /metrics gets 404 from nginx."""
    response = raw_tls(edge.https, forged_request(path), HOST)
    assert is_problem(response, 404), response
    assert response.json["instance"] == "-"


@pytest.mark.parametrize("name", [*FORGED])
def test_no_single_header_changes_what_the_application_sees(edge, name):
    """No single forged header changes what reaches the application, except for values new to each request."""
    plain, one = (edge.get("/page", headers=headers).json["headers"] for headers in ({}, {name: FORGED[name]}))
    assert [pair for pair in plain if pair[0] not in PER_REQUEST] == [
        pair for pair in one if pair[0] not in PER_REQUEST
    ]
    assert [FORGED[name] for name in PER_REQUEST if FORGED[name] in str(one)] == []


def test_a_trace_starts_with_the_request_id(edge):
    """The application receives a traceparent whose trace id is the request id."""
    response = edge.get("/page")
    forwarded = dict(response.json["headers"])
    assert re.fullmatch(f"00-{response.request_id}-{response.request_id[:16]}-01", forwarded["traceparent"])


def test_a_cdns_trace_is_continued(behind_cdn):
    """A well-formed traceparent of a CDN is passed on; a malformed one is replaced."""
    trace = FORGED["traceparent"].removesuffix("01")
    for traceparent, is_valid in (
        (f"{trace}01", True),
        (f"{trace}02", True),
        (f"{trace}03", True),
        ("00-zz-zz-01", False),
    ):
        response = behind_cdn.get("/page", headers={"traceparent": traceparent})
        forwarded = dict(response.json["headers"])["traceparent"]
        assert forwarded == (traceparent if is_valid else f"00-{response.request_id}-{response.request_id[:16]}-01")


def test_the_application_logs_what_nginx_logs(server):
    """With every header forged, nginx and the application log the same client and request, and no forged value."""
    response = raw_tls(server.https, forged_request("/health?a=b"), HOST)
    assert re.fullmatch(r"[0-9a-f]{32}", response.request_id)
    lines = [
        server.log_line(name, response.request_id) for name in ("nginx", f"web-{server.status()['active_colour']}")
    ]
    assert [lines[0][name] for name in SHARED_FIELDS] == [lines[1][name] for name in SHARED_FIELDS]
    assert "X-Release" not in response.headers
    assert [value for value in FORGED.values() if value in str(lines)] == []


def test_redirects_use_the_requested_host(server):
    """Forged headers do not change where a redirect leads."""
    assert (
        raw_tls(server.https, forged_request("/api//products"), HOST).headers["Location"]
        == f"https://{HOST}/api/products"
    )


def test_the_log_is_valid_utf8(edge):
    """A byte that is invalid in a URL ends the logged path; the line stays valid JSON."""
    response = raw_tls(edge.https, forged_request("/page?").replace(b"?", b"/\xff\xfe"), HOST)
    line = edge.log_line("nginx", response.request_id)
    assert (line["path"], line["status"]) == ("/page/", response.status)


def test_the_log_has_cache_status_times_and_protocol(edge):
    """A line has the cache status, the upstream time, the protocol and the TLS version."""
    responses = [edge.get("/logged", header="Cache-Control:public, s-maxage=60") for _ in range(2)]
    lines = [edge.log_line("nginx", response.request_id) for response in responses]
    assert [(line["cache"], line["tls"], line["protocol"]) for line in lines] == [
        ("MISS", "TLSv1.3", "HTTP/1.1"),
        ("HIT", "TLSv1.3", "HTTP/1.1"),
    ]
    assert float(lines[0]["upstream_s"]) >= 0
    assert lines[1]["upstream_s"] == ""


@pytest.mark.guarantee("A configured proxy's client address and request id are trusted")
def test_a_known_proxy_names_the_client(behind_cdn):
    """The application and the log use the client address that a known proxy names."""
    response = behind_cdn.get("/page", headers={"X-Forwarded-For": "6.6.6.6, 203.0.113.5"})
    assert dict(response.json["headers"])["X-Forwarded-For"] == "203.0.113.5"
    assert behind_cdn.log_line("nginx", response.request_id)["client"] == "203.0.113.5"


@pytest.mark.guarantee("A configured proxy's client address and request id are trusted")
def test_a_known_proxys_request_id_is_used(behind_cdn):
    """A well-formed X-Request-ID of a known proxy is used by the application, the response and the log."""
    response = behind_cdn.get("/page", headers={"X-Request-ID": CDN_REQUEST_ID})
    assert (dict(response.json["headers"])["X-Request-ID"], response.request_id) == (CDN_REQUEST_ID, CDN_REQUEST_ID)
    assert behind_cdn.log_line("nginx", CDN_REQUEST_ID)["path"] == "/page"


@pytest.mark.parametrize("request_id", ["short", "a" * 65, "with space here", 'quote"quote', "semi;colon", ""])
def test_a_malformed_request_id_is_replaced(behind_cdn, request_id):
    """A malformed X-Request-ID is replaced, even from a known proxy."""
    response = behind_cdn.get("/page", headers={"X-Request-ID": request_id})
    assert re.fullmatch(r"[0-9a-f]{32}", response.request_id)


def test_two_request_ids_are_replaced(behind_cdn):
    """Two X-Request-ID headers in one request are replaced."""
    lines = [
        "GET /page HTTP/1.1",
        f"Host: {HOST}",
        f"X-Request-ID: {CDN_REQUEST_ID}",
        "X-Request-ID: another-one",
        "Connection: close",
    ]
    response = raw_tls(behind_cdn.https, ("\r\n".join(lines) + "\r\n\r\n").encode(), HOST)
    assert re.fullmatch(r"[0-9a-f]{32}", response.request_id)
