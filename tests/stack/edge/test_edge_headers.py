"""Security headers: every response has each of them once, and none discloses a version."""

import re

import pytest

from tests.support.stack.client import is_problem, raw_tls, send_request
from tests.support.stack.server import HOST

pytestmark = pytest.mark.smoke

SECURITY = {
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
    "Referrer-Policy": "strict-origin-when-cross-origin",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Embedder-Policy": "require-corp",
    "Cross-Origin-Resource-Policy": "same-origin",
}
FINAL_HSTS = "max-age=63072000; includeSubDomains; preload"
PRESENT_ONCE = ("Content-Security-Policy", "Permissions-Policy")
# https://cheatsheetseries.owasp.org/cheatsheets/HTTP_Headers_Cheat_Sheet.html lists them as useless or harmful.
DEPRECATED = ("X-XSS-Protection", "Expect-CT", "Public-Key-Pins", "Feature-Policy", "X-Powered-By", "Pragma", "P3P")


@pytest.fixture(scope="module")
def strict(new_edge):
    """Nginx with a low rate limit and the final HSTS value."""
    return new_edge(API_RATE=1, HSTS=f"'{FINAL_HSTS}'")


def send_raw(head):
    """Return a function that sends a raw request with this first line."""
    lines = (head, f"Host: {HOST}", "Content-Length: 99999999", "Connection: close", "", "")
    return lambda edge: raw_tls(edge.https, "\r\n".join(lines).encode(), HOST)


def plain_http_on_tls_port(edge):
    """Send plain HTTP to the TLS port."""
    return send_request(edge.https, "/page", headers={"Host": HOST})


APPLICATION_HEADERS = [
    "X-Frame-Options:SAMEORIGIN",
    "Content-Security-Policy:default-src *",
    "X-Content-Type-Options:nosniff",
]
RESPONSES = {
    200: lambda edge: edge.get("/page"),
    "200 with the application's own headers": lambda edge: edge.get("/page", header=APPLICATION_HEADERS),
    "api": lambda edge: edge.get("/api/products"),
    201: lambda edge: edge.get("/api/products", method="POST", status=201),
    204: lambda edge: edge.get("/api/products/1", method="DELETE", status=204),
    301: lambda edge: edge.get("/old", status=301, header="Location:/new"),
    304: lambda edge: edge.get("/page", status=304),
    404: lambda edge: edge.get("/nowhere", status=404),
    "404 of nginx": lambda edge: edge.get("/.problem"),
    "400 of nginx": send_raw("GET /%zz HTTP/1.1"),
    "400 of nginx, plain HTTP": plain_http_on_tls_port,
    "405 of nginx": send_raw("CONNECT shop.example:443 HTTP/1.1"),
    413: send_raw("POST /page HTTP/1.1"),
    "414 of nginx": send_raw(f"GET /{'a' * 9000} HTTP/1.1"),
    "505 of nginx": send_raw("GET /page HTTP/9.9"),
    "431 of nginx": lambda edge: edge.get("/page", headers={"X": "a" * 9000}),
    500: lambda edge: edge.get("/api/x", status=500),
    502: lambda edge: edge.get("/api/x", status=502),
    503: lambda edge: edge.get("/api/x", status=503),
    421: lambda edge: edge.get("/page", headers={"Host": "evil.example"}),
}


def wrong_headers(response):
    """Return the security headers that are missing, repeated or have another value."""
    values = {name: response.headers.get_all(name) or [] for name in (*SECURITY, *PRESENT_ONCE)}
    wrong = {name: values[name] for name in SECURITY if values[name] != [SECURITY[name]]}
    return wrong | {name: values[name] for name in PRESENT_ONCE if len(values[name]) != 1}


@pytest.mark.guarantee("Every response has every security header once: pages, API, files, redirects and errors")
@pytest.mark.parametrize("name", RESPONSES)
def test_every_response_has_each_header_once(edge, name):
    """Every response of nginx and the application has each security header exactly once."""
    response = RESPONSES[name](edge)
    assert response.status == int(str(name).split()[0].replace("api", "200"))
    assert wrong_headers(response) == {}
    assert [header for header in DEPRECATED if header in response.headers] == []


@pytest.mark.parametrize("name", [name for name in RESPONSES if name != 421])
def test_every_response_has_hsts(edge, name):
    """Every TLS response has HSTS, by default for a day."""
    assert RESPONSES[name](edge).headers.get_all("Strict-Transport-Security") == ["max-age=86400"]


def test_429_has_the_headers(strict):
    """A 429 has every security header."""
    responses = [strict.get("/api/x") for _ in range(8)]
    rejected = [response for response in responses if response.status == 429]
    assert rejected
    assert [wrong_headers(response) for response in rejected] == [{}] * len(rejected)


def test_the_redirect_has_the_headers(edge):
    """The redirect from plain HTTP and its 403 have the headers, without HSTS (RFC 6797, 7.2)."""
    for path, status in (("/page", 308), ("/api/x", 403)):
        response = edge.plain(path)
        assert (response.status, wrong_headers(response)) == (status, {})
        assert "Strict-Transport-Security" not in response.headers


@pytest.mark.parametrize("path", ["/api/docs", "/api/products", "/health", "/static/docs.css", "/nowhere"])
def test_the_applications_responses_have_the_headers(server, path):
    """Pages, API, files and errors of the real application have each header once."""
    assert wrong_headers(server.request(path)) == {}


def test_static_files_have_the_headers(server):
    """A static file that nginx serves has each header once."""
    (path,) = set(re.findall(r"/static/docs\.[0-9a-f]+\.css", server.request("/api/docs").body.decode()))
    response = server.request(path)
    assert (response.status, wrong_headers(response), "immutable" in response.headers["Cache-Control"]) == (
        200,
        {},
        True,
    )


def test_the_content_security_policy_is_strict(edge):
    """The policy allows same-origin resources only and nothing inline."""
    policy = edge.get("/page").headers["Content-Security-Policy"]
    rules = dict(rule.strip().split(" ", 1) for rule in policy.split(";"))
    assert rules["default-src"] == rules["base-uri"] == rules["frame-ancestors"] == "'none'"
    assert set(rules.values()) == {"'none'", "'self'"}


def test_no_version_is_disclosed(edge):
    """No response discloses nginx's version."""
    for response in (edge.get("/page"), edge.get("/.problem"), edge.plain("/page"), edge.plain("/.problem")):
        assert response.headers["Server"] == "nginx"
        assert not re.search(rb"nginx/\d", response.body)


def test_browsers_get_an_error_page(edge):
    """A browser gets an error page with the request id, a program a problem document."""
    page = edge.get("/.problem", headers={"Accept": "text/html,application/xhtml+xml,*/*;q=0.8"})
    assert (page.status, page.headers.get_content_type()) == (404, "text/html")
    assert page.request_id in page.body.decode()
    assert is_problem(edge.get("/.problem", headers={"Accept": "application/json"}), 404)


def test_the_hsts_setting_is_send_raw(strict):
    """HSTS is sent as configured."""
    assert strict.get("/page").headers.get_all("Strict-Transport-Security") == [FINAL_HSTS]
