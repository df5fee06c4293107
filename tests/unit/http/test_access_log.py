"""The request's id and the line that sums a request up."""

import re

import pytest

from app.observability.logging import TextFormatter

ID = "trace-1234_5678.9"
REQUIRED = {"time", "level", "logger", "message", "request_id", "release", "method", "path", "route", "status"}
REQUIRED |= {"duration_s", "bytes", "client", "token"}
HOSTILE = ["/a%0d%0ab", "/a%0Aforged line", "/%1b%5b31mred", "/%00", "/%c2%85", "/%e2%80%a8", "/%ff%fe", "/a%22%7d"]


@pytest.fixture
def proxied(shared_app):
    """Asks an application that has one proxy in front."""
    return shared_app.test_client()


def given_id(client, value):
    """Return the id that a request with this one gets."""
    return client.get("/health", headers={"X-Request-ID": value}).headers["X-Request-ID"]


def is_made(request_id):
    """Whether an id is one of ours: 128 random bits."""
    return re.fullmatch("[0-9a-f]{32}", request_id) is not None


def test_id_of_a_trusted_proxy(proxied):
    """The proxy's id is the request's."""
    assert given_id(proxied, ID) == ID


def test_id_of_anybody(client):
    """Without a proxy that is trusted, nobody chooses the id."""
    assert is_made(given_id(client, ID))


@pytest.mark.parametrize(
    "value", ["", "short", "a" * 65, "has blank 1", "semi;colon", "é" * 8, '"quoted"', "a\tb\tc\td\te"]
)
def test_id_that_is_none(proxied, value):
    """What is not well formed is replaced, even from the proxy."""
    assert is_made(given_id(proxied, value))


def test_ids_differ(client):
    """Each request has its own."""
    assert given_id(client, "") != given_id(client, "")


def test_one_line_a_request(client, logged):
    """A request is one line, with all that is needed to find it again."""
    log = logged()
    answer = client.get("/health")
    (line,) = log.records
    assert line.keys() == REQUIRED
    assert (line["method"], line["path"], line["route"], line["status"]) == ("GET", "/health", "/health", 200)
    assert (line["bytes"], line["client"], line["token"]) == (len(answer.data), "127.0.0.1", None)
    assert (line["request_id"], line["logger"]) == (answer.headers["X-Request-ID"], "app.request")
    assert 0 < line["duration_s"] < 10


def test_release_is_sent(make_app):
    """Every answer says its release, an error too: the proxy in front logs it, and keeps it for itself."""
    client = make_app(RELEASE="abc").test_client()
    assert [client.get(path).headers["X-Release"] for path in ("/health", "/nowhere")] == ["abc", "abc"]


def test_route_groups_requests(client, logged):
    """The route is the pattern, so that one product's requests count with another's; without one it is null."""
    log = logged()
    client.get("/api/docs/nowhere")
    client.post("/api/products")
    assert [(line["route"], line["status"]) for line in log.records] == [(None, 404), ("/api/products", 401)]


def test_failure_is_a_line_too(app, client, logged):
    """A request that fails has its line, and one for the exception: with the same id, the method, and the route."""
    app.add_url_rule("/fail/<int:what>", "fail", lambda what: what / 0)
    log = logged()
    client.get("/fail/7")
    failure, line = log.records
    assert (failure["method"], failure["path"], failure["route"]) == ("GET", "/fail/7", "/fail/<int:what>")
    assert failure["exception"].endswith("ZeroDivisionError: division by zero")
    assert (failure["level"], line["level"], line["status"]) == ("ERROR", "INFO", 500)
    assert failure["request_id"] == line["request_id"]


def test_failure_of_a_hook(make_app, logged):
    """A hook that fails after each request costs neither the id nor the line, once."""
    app = make_app()
    app.after_request(lambda response: response.headers["nothing"] and response)
    log = logged()
    answer = app.test_client().get("/health")
    assert (answer.status_code, is_made(answer.headers["X-Request-ID"])) == (500, True)
    (line,) = [line for line in log.records if line["logger"] == "app.request"]
    assert (line["status"], line["request_id"]) == (500, answer.headers["X-Request-ID"])


@pytest.mark.parametrize("form", [None, TextFormatter()], ids=["json", "text"])
def test_hostile_path(client, logged, form):
    """Whatever is in the path, a request is one line, and no control character reaches a terminal."""
    log = logged(form)
    for number, path in enumerate(HOSTILE, 1):
        client.get(path)
        written = log.stream.getvalue()
        assert (written.count("\n"), written[-1]) == (number, "\n"), path
        assert not re.search(r"[\x00-\x09\x0b-\x1f\x7f-\x9f]", written), path


def test_secrets_are_not_logged(client, logged):
    """Neither the query string nor a header is in the log, where tokens travel."""
    log = logged()
    client.get("/health?reset_token=hunter2", headers={"Authorization": "Bearer hunter2", "Referer": "/?t=hunter2"})
    assert "hunter2" not in log.stream.getvalue()
    assert len(log.lines) == 1


def test_client_behind_a_proxy(make_app, logged):
    """The address is the one that the trusted proxy saw, not what the client claims before it."""
    client = make_app(TRUSTED_PROXIES="1").test_client()
    log = logged()
    client.get("/health", headers={"X-Forwarded-For": "6.6.6.6, 203.0.113.9"})
    assert log.records[0]["client"] == "203.0.113.9"


def test_quiet(make_app, logged):
    """Above INFO there is no line for a request, and the id is still sent."""
    client = make_app(LOG_LEVEL="WARNING").test_client()
    log = logged()
    assert is_made(client.get("/health").headers["X-Request-ID"])
    assert log.lines == []
