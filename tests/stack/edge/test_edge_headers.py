"""What every answer tells a browser: the same security headers on each kind, once, and nothing about versions."""

import re

import pytest

from tests.support.stack.client import ask, is_problem, raw_tls
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
IN_THE_END = "max-age=63072000; includeSubDomains; preload"
LONG = ("Content-Security-Policy", "Permissions-Policy")
# https://cheatsheetseries.owasp.org/cheatsheets/HTTP_Headers_Cheat_Sheet.html names them as of no use or worse.
DEPRECATED = ("X-XSS-Protection", "Expect-CT", "Public-Key-Pins", "Feature-Policy", "X-Powered-By", "Pragma", "P3P")


@pytest.fixture(scope="module")
def strict(new_edge):
    """Return Nginx that lets one request a second through, two at once, and whose HSTS is as it is in the end."""
    return new_edge(API_RATE=1, HSTS=f"'{IN_THE_END}'")


def sent(head):
    """Return a function that sends these lines, and what belongs to each request."""
    lines = (head, f"Host: {HOST}", "Content-Length: 99999999", "Connection: close", "", "")
    return lambda edge: raw_tls(edge.https, "\r\n".join(lines).encode(), HOST)


def in_the_clear(edge):
    """Speak plain HTTP where TLS is spoken."""
    return ask(edge.https, "/page", headers={"Host": HOST})


OWN = ["X-Frame-Options:SAMEORIGIN", "Content-Security-Policy:default-src *", "X-Content-Type-Options:nosniff"]
ANSWERS = {
    200: lambda edge: edge.get("/page"),
    "200 of an application that sends some itself": lambda edge: edge.get("/page", header=OWN),
    "api": lambda edge: edge.get("/api/products"),
    201: lambda edge: edge.get("/api/products", method="POST", status=201),
    204: lambda edge: edge.get("/api/products/1", method="DELETE", status=204),
    301: lambda edge: edge.get("/old", status=301, header="Location:/new"),
    304: lambda edge: edge.get("/page", status=304),
    404: lambda edge: edge.get("/nowhere", status=404),
    "404 of nginx": lambda edge: edge.get("/.problem"),
    "400 of nginx": sent("GET /%zz HTTP/1.1"),
    "400 of nginx, in the clear": in_the_clear,
    "405 of nginx": sent("CONNECT shop.example:443 HTTP/1.1"),
    413: sent("POST /page HTTP/1.1"),
    "414 of nginx": sent(f"GET /{'a' * 9000} HTTP/1.1"),
    "505 of nginx": sent("GET /page HTTP/9.9"),
    "431 of nginx": lambda edge: edge.get("/page", headers={"X": "a" * 9000}),
    500: lambda edge: edge.get("/api/x", status=500),
    502: lambda edge: edge.get("/api/x", status=502),
    503: lambda edge: edge.get("/api/x", status=503),
    421: lambda edge: edge.get("/page", headers={"Host": "evil.example"}),
}


def lacks(answer):
    """Return which of the headers an answer lacks, has twice, or has with another value."""
    values = {name: answer.headers.get_all(name) or [] for name in (*SECURITY, *LONG)}
    wrong = {name: values[name] for name in SECURITY if values[name] != [SECURITY[name]]}
    return wrong | {name: values[name] for name in LONG if len(values[name]) != 1}


@pytest.mark.parametrize("name", ANSWERS)
def test_each_answer_has_each_header_once(edge, name):
    """Whatever the status, and whoever made the answer, it has every security header, once."""
    answer = ANSWERS[name](edge)
    assert answer.status == int(str(name).split()[0].replace("api", "200"))
    assert lacks(answer) == {}
    assert [header for header in DEPRECATED if header in answer.headers] == []


@pytest.mark.parametrize("name", [name for name in ANSWERS if name != 421])
def test_browsers_are_told_to_ask_by_tls_only(edge, name):
    """Each answer by TLS says for how long browsers must ask by TLS, a day at first."""
    assert ANSWERS[name](edge).headers.get_all("Strict-Transport-Security") == ["max-age=86400"]


def test_too_many_requests_have_them_too(strict):
    """A refusal for asking too often has every security header as well."""
    answers = [strict.get("/api/x") for _ in range(8)]
    refused = [answer for answer in answers if answer.status == 429]
    assert refused
    assert [lacks(answer) for answer in refused] == [{}] * len(refused)


def test_the_redirect_has_them_too(edge):
    """The redirect from plain HTTP, and the refusal, have them, but for what counts by TLS only (RFC 6797, 7.2)."""
    for path, status in (("/page", 308), ("/api/x", 403)):
        answer = edge.plain(path)
        assert (answer.status, lacks(answer)) == (status, {})
        assert "Strict-Transport-Security" not in answer.headers


@pytest.mark.parametrize("path", ["/api/docs", "/api/products", "/health", "/static/docs.css", "/nowhere"])
def test_the_applications_answers_have_them(server, path):
    """The real application's pages, API, files and errors have each header once."""
    assert lacks(server.ask(path)) == {}


def test_the_files_that_nginx_serves_have_them(server):
    """A file by the name that pages give it, which comes from Nginx alone, has each header once."""
    (path,) = set(re.findall(r"/static/docs\.[0-9a-f]+\.css", server.ask("/api/docs").body.decode()))
    answer = server.ask(path)
    assert (answer.status, lacks(answer), "immutable" in answer.headers["Cache-Control"]) == (200, {}, True)


def test_nothing_inline_is_allowed(edge):
    """The policy for content allows nothing that is not asked for by name, nothing inline, and no other host."""
    policy = edge.get("/page").headers["Content-Security-Policy"]
    rules = dict(rule.strip().split(" ", 1) for rule in policy.split(";"))
    assert rules["default-src"] == rules["base-uri"] == rules["frame-ancestors"] == "'none'"
    assert set(rules.values()) == {"'none'", "'self'"}


def test_no_version_is_told(edge):
    """Nobody learns which Nginx this is, from no answer."""
    for answer in (edge.get("/page"), edge.get("/.problem"), edge.plain("/page"), edge.plain("/.problem")):
        assert answer.headers["Server"] == "nginx"
        assert not re.search(rb"nginx/\d", answer.body)


def test_a_person_gets_a_page(edge):
    """A browser is shown a page with the request's id, of the same status, and a program gets a problem document."""
    page = edge.get("/.problem", headers={"Accept": "text/html,application/xhtml+xml,*/*;q=0.8"})
    assert (page.status, page.headers.get_content_type()) == (404, "text/html")
    assert page.request_id in page.body.decode()
    assert is_problem(edge.get("/.problem", headers={"Accept": "application/json"}), 404)


def test_what_is_set_is_said(strict):
    """HSTS is sent as it is set."""
    assert strict.get("/page").headers.get_all("Strict-Transport-Security") == [IN_THE_END]
