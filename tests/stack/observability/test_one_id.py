"""One request id finds a request everywhere: in the logs of nginx and the application, Postgres, Sentry and traces."""

import json
import threading
from types import SimpleNamespace

import pytest

from tests.support.helpers import wait_for
from tests.support.stack.broken import append_to
from tests.support.stack.listener import Listener

SECRET = "hunter2-canary"
FAULTY = append_to(
    "/srv/wsgi.py",
    """
from flask import current_app
from sqlalchemy import text
@app.get("/orders/<int:number>")
def orders(number):
    with current_app.extensions["read_engine"].connect() as connection:
        connection.execute(text("SELECT pg_sleep(1)"))
    raise RuntimeError("out of stock")
""",
)
RUNNING_STATEMENT = "SELECT query FROM pg_stat_activity WHERE usename = 'app' AND query LIKE 'SELECT pg_sleep(1)%'"
pytestmark = [
    pytest.mark.timeout(400),
    pytest.mark.guarantee("One request id finds the logs, the SQL statement, the Sentry event and the trace"),
]


@pytest.fixture(scope="module")
def failed(new_server, registry, image):
    """Fail one request on a server with Sentry and a collector; return the id and every trace that it left."""
    server = new_server()
    server.ops("deploy", registry.release("faulty", FAULTY), check=False)  # creates the networks for the listener
    listener = Listener(server, image)
    try:
        with (server.folder / ".env").open("a") as file:
            file.write(f"SENTRY_DSN={listener.url('/7', user='key')}\nOTEL_EXPORTER_OTLP_ENDPOINT={listener.url('')}\n")
        server.compose("up", "--detach", "--no-deps", "--wait", f"web-{server.status()['active_colour']}")
        wait_for(lambda: server.request("/health/ready").status == 200, seconds=20)
        yield observe(server, listener)
    finally:
        listener.destroy()


def observe(server, listener):
    """Send the request, query Postgres meanwhile, and return the response and what each system recorded."""
    responses, headers = [], {"Authorization": f"Bearer {SECRET}", "Cookie": f"session={SECRET}"}
    client = threading.Thread(
        target=lambda: responses.append(server.request(f"/orders/5?reset={SECRET}", headers=headers)),
    )
    client.start()
    statements = wait_for(lambda: server.sql(RUNNING_STATEMENT))
    client.join(20)
    response = responses[0]
    trace = bytes.fromhex(response.request_id)
    return SimpleNamespace(
        response=response,
        id=response.request_id,
        statements=statements,
        edge=server.log_line("nginx", response.request_id),
        events=wait_for(
            lambda: [each for each in listener.received_texts("/api/7/envelope/") if response.request_id in each]
        ),
        traces=wait_for(lambda: [each for each in listener.received("/v1/traces") if trace in each], seconds=20),
        logs=server.compose("logs", "--no-log-prefix", "--no-color").stdout,
    )


def lines(failed):
    """Return the log lines that contain the id."""
    return [json.loads(line) for line in failed.logs.splitlines() if failed.id in line]


def test_response_has_the_id(failed):
    """The response has the id in its header and body, and nothing of the exception."""
    assert (failed.response.status, failed.response.json["request_id"]) == (500, failed.id)
    assert "stock" not in failed.response.body.decode()


def test_logs_have_the_id(failed):
    """The id finds the access log lines of nginx and the application, and the line with the traceback."""
    found = {(line["logger"], line["level"]) for line in lines(failed)}
    assert found == {("nginx", "INFO"), ("app.http.errors", "ERROR"), ("app.request", "INFO")}
    assert any("RuntimeError: out of stock" in line.get("exception", "") for line in lines(failed))


def test_log_lines_have_the_same_fields(failed):
    """The access logs of nginx and the application use the same field names."""
    for line in lines(failed):
        assert {"time", "level", "logger", "message", "request_id", "release"} <= line.keys()
        assert line["release"] == "faulty"
    requests = [line for line in lines(failed) if line["logger"] in {"nginx", "app.request"}]
    assert [(line["method"], line["path"], line["status"]) for line in requests] == [("GET", "/orders/5", 500)] * 2
    assert all(1 < line["duration_s"] < 10 for line in requests)


def test_statement_has_the_id(failed):
    """pg_stat_activity shows the id with the running statement."""
    assert failed.statements == [f"SELECT pg_sleep(1) /* request_id={failed.id} */"]


def test_event_has_the_id(failed):
    """Sentry gets one event, with the id, the release and the environment."""
    assert len(failed.events) == 1
    event = json.loads(failed.events[0].splitlines()[2])
    assert (event["tags"]["request_id"], event["release"], event["environment"]) == (failed.id, "faulty", "production")


def test_trace_has_the_id(failed):
    """The trace id is the request id; the trace has spans of the request and its statement."""
    spans = b"".join(failed.traces)
    assert b"/orders/<int:number>" in spans
    assert b"SELECT" in spans


def test_nothing_has_a_secret(failed):
    """The query string, the cookie and the token are recorded nowhere."""
    everything = [failed.logs.encode(), *failed.traces, *[event.encode() for event in failed.events]]
    assert [text for text in everything if SECRET.encode() in text] == []
