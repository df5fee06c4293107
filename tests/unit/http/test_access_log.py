"""The access log."""

import re

import pytest

from app.observability.logging import TextFormatter

FIELDS = {
    "time",
    "level",
    "logger",
    "message",
    "request_id",
    "trace_id",
    "release",
    "method",
    "path",
    "route",
    "status",
}
FIELDS |= {"duration_s", "bytes", "client", "token_name"}
HOSTILE = ["/a%0d%0ab", "/a%0Aforged line", "/%1b%5b31mred", "/%00", "/%c2%85", "/%e2%80%a8", "/%ff%fe", "/a%22%7d"]


def is_generated(request_id):
    """Return whether the application generated the id: 128 random bits."""
    return re.fullmatch("[0-9a-f]{32}", request_id) is not None


def test_one_line_per_request(client, logged):
    """A request is logged as one line with all fields."""
    log = logged()
    response = client.get("/health")
    (line,) = log.records
    assert line.keys() == FIELDS
    assert (line["method"], line["path"], line["route"], line["status"]) == ("GET", "/health", "/health", 200)
    assert (line["bytes"], line["client"], line["token_name"]) == (len(response.data), "127.0.0.1", None)
    assert (line["request_id"], line["logger"]) == (response.headers["X-Request-ID"], "app.request")
    assert 0 < line["duration_s"] < 10


def test_release_is_sent(make_app):
    """Every response has X-Release, errors too; nginx logs it and removes it."""
    client = make_app(RELEASE="abc").test_client()
    assert [client.get(path).headers["X-Release"] for path in ("/health", "/nowhere")] == ["abc", "abc"]


def test_route(client, logged):
    """The route is the URL rule, or null when none matches."""
    log = logged()
    client.get("/api/docs/nowhere")
    client.post("/api/products")
    assert [(line["route"], line["status"]) for line in log.records] == [(None, 404), ("/api/products", 401)]


def test_failed_request_is_logged(app, client, logged):
    """A failed request has its access log line, and one with the traceback, method, path and route."""
    app.add_url_rule("/fail/<int:what>", "fail", lambda what: what / 0)
    log = logged()
    client.get("/fail/7")
    failure, line = log.records
    assert (failure["method"], failure["path"], failure["route"]) == ("GET", "/fail/7", "/fail/<int:what>")
    assert failure["exception"].endswith("ZeroDivisionError: division by zero")
    assert (failure["level"], line["level"], line["status"]) == ("ERROR", "INFO", 500)
    assert failure["request_id"] == line["request_id"]


def test_failed_after_request_function(make_app, logged):
    """When an after_request function fails, the response has its id and the request its one line."""
    app = make_app()
    app.after_request(lambda response: response.headers["nothing"] and response)
    log = logged()
    response = app.test_client().get("/health")
    assert (response.status_code, is_generated(response.headers["X-Request-ID"])) == (500, True)
    (line,) = [line for line in log.records if line["logger"] == "app.request"]
    assert (line["status"], line["request_id"]) == (500, response.headers["X-Request-ID"])


@pytest.mark.parametrize("form", [None, TextFormatter()], ids=["json", "text"])
def test_hostile_path(client, logged, form):
    """A hostile path neither forges a line nor writes a control character."""
    log = logged(form)
    for number, path in enumerate(HOSTILE, 1):
        client.get(path)
        written = log.stream.getvalue()
        assert (written.count("\n"), written[-1]) == (number, "\n"), path
        assert not re.search(r"[\x00-\x09\x0b-\x1f\x7f-\x9f]", written), path


def test_query_and_headers_are_not_logged(client, logged):
    """The query string and headers, which may contain tokens, are not logged."""
    log = logged()
    client.get("/health?reset_token=hunter2", headers={"Authorization": "Bearer hunter2", "Referer": "/?t=hunter2"})
    assert "hunter2" not in log.stream.getvalue()
    assert len(log.lines) == 1


def test_client_behind_a_proxy(make_app, logged):
    """The client address is the one that the trusted proxy appended."""
    client = make_app(TRUSTED_PROXIES="1").test_client()
    log = logged()
    client.get("/health", headers={"X-Forwarded-For": "6.6.6.6, 203.0.113.9"})
    assert log.records[0]["client"] == "203.0.113.9"


def test_no_access_log_above_info(make_app, logged):
    """Above level INFO requests are not logged; the response still has its id."""
    client = make_app(LOG_LEVEL="WARNING").test_client()
    log = logged()
    assert is_generated(client.get("/health").headers["X-Request-ID"])
    assert log.lines == []
