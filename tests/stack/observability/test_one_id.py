"""One request's id leads through everything: what Nginx, the application, Postgres, Sentry and the traces say of it."""

import json
import threading
from types import SimpleNamespace

import pytest

from tests.support.helpers import wait_for
from tests.support.stack.broken import appended
from tests.support.stack.listener import Listener

SECRET = "hunter2-canary"
FAULTY = appended(
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
AT_WORK = "SELECT query FROM pg_stat_activity WHERE usename = 'app' AND query LIKE 'SELECT pg_sleep(1)%'"
pytestmark = pytest.mark.timeout(400)


@pytest.fixture(scope="module")
def failed(new_server, registry, image):
    """Let one request fail on a server that tells Sentry and a collector, and return the id and what was seen of it."""
    server = new_server()
    server.ops("deploy", registry.release("faulty", FAULTY), check=False)  # makes the networks, for the listener
    listener = Listener(server, image)
    try:
        with (server.folder / ".env").open("a") as file:
            file.write(f"SENTRY_DSN={listener.url('/7', user='key')}\nOTEL_EXPORTER_OTLP_ENDPOINT={listener.url('')}\n")
        server.compose("up", "--detach", "--no-deps", "--wait", f"web-{server.status()['active_colour']}")
        wait_for(lambda: server.ask("/health/ready").status == 200, seconds=20)
        yield seen(server, listener)
    finally:
        listener.destroy()


def seen(server, listener):
    """Send the request, look at Postgres meanwhile, and return the answer and what everybody says of it."""
    answers, headers = [], {"Authorization": f"Bearer {SECRET}", "Cookie": f"session={SECRET}"}
    asking = threading.Thread(
        target=lambda: answers.append(server.ask(f"/orders/5?reset={SECRET}", headers=headers)),
    )
    asking.start()
    statements = wait_for(lambda: server.sql(AT_WORK))
    asking.join(20)
    answer = answers[0]
    trace = bytes.fromhex(answer.request_id)
    return SimpleNamespace(
        answer=answer,
        id=answer.request_id,
        statements=statements,
        edge=server.log_line("nginx", answer.request_id),
        events=wait_for(
            lambda: [each for each in listener.received_texts("/api/7/envelope/") if answer.request_id in each]
        ),
        traces=wait_for(lambda: [each for each in listener.received("/v1/traces") if trace in each], seconds=20),
        said=server.compose("logs", "--no-log-prefix", "--no-color").stdout,
    )


def lines(failed):
    """Return the lines of all logs that one looks for by the id."""
    return [json.loads(line) for line in failed.said.splitlines() if failed.id in line]


def test_the_client_has_the_id(failed):
    """Whoever asked is told the id, in the answer's head and in its body, and nothing of the fault."""
    assert (failed.answer.status, failed.answer.json["request_id"]) == (500, failed.id)
    assert "stock" not in failed.answer.body.decode()


def test_the_logs_have_the_id(failed):
    """Of the edge one line, of the application one for the fault, with its traceback, and one that sums up."""
    found = {(line["logger"], line["level"]) for line in lines(failed)}
    assert found == {("nginx", "INFO"), ("app.http.errors", "ERROR"), ("app.request", "INFO")}
    assert any("RuntimeError: out of stock" in line.get("exception", "") for line in lines(failed))


def test_the_lines_have_one_form(failed):
    """Each has time, level, logger, message, id and release; that of a request method, path, status and seconds."""
    for line in lines(failed):
        assert {"time", "level", "logger", "message", "request_id", "release"} <= line.keys()
        assert line["release"] == "faulty"
    requests = [line for line in lines(failed) if line["logger"] in {"nginx", "app.request"}]
    assert [(line["method"], line["path"], line["status"]) for line in requests] == [("GET", "/orders/5", 500)] * 2
    assert all(1 < line["duration_s"] < 10 for line in requests)


def test_the_statement_has_the_id(failed):
    """While a statement runs, Postgres says of which request it is."""
    assert failed.statements == [f"SELECT pg_sleep(1) /* request_id={failed.id} */"]


def test_the_event_has_the_id(failed):
    """Sentry gets one event, with the id, the release and the environment."""
    assert len(failed.events) == 1
    event = json.loads(failed.events[0].splitlines()[2])
    assert (event["tags"]["request_id"], event["release"], event["environment"]) == (failed.id, "faulty", "production")


def test_the_trace_has_the_id(failed):
    """The trace's id is the request's: the span of the request is in it, and that of its statement."""
    spans = b"".join(failed.traces)
    assert b"/orders/<int:number>" in spans
    assert b"SELECT" in spans


def test_none_of_them_has_a_secret(failed):
    """What came in the query, in a cookie or as a token is in none of it."""
    everything = [failed.said.encode(), *failed.traces, *[event.encode() for event in failed.events]]
    assert [text for text in everything if SECRET.encode() in text] == []
