"""Logs of the real server: every request has one whole line, in LOG_TO_FILE and on standard error."""

import json
from collections import Counter

import pytest

from tests.support.helpers import wait_for
from tests.support.integration.client import send_request, together


def send_requests(server):
    """Send 160 requests from eight threads, and return their ids."""
    ids = together(
        8, lambda _: [send_request(server.port, "GET", "/health").headers["X-Request-ID"] for _ in range(20)]
    )
    return {request_id for of_thread in ids for request_id in of_thread}


def request_counts(text):
    """Return how many access log lines each request has."""
    records = [json.loads(line) for line in text.splitlines()]
    return Counter(record["request_id"] for record in records if record["logger"] == "app.request")


def test_log_file(serve, sqlite_url, valkey, tmp_path):
    """Two workers and the master share LOG_TO_FILE; after a rotation they write to the new file."""
    file, rotated = tmp_path / "app.log", tmp_path / "app.log.1"
    settings = {"FLASK_ENV": "testing", "TEST_DATABASE_URL": sqlite_url, "WEB_CONCURRENCY": "2"}
    server = serve(sqlite_url, valkey.url, LOG_TO_FILE=str(file), **settings)
    before = send_requests(server)
    file.rename(rotated)
    after = send_requests(server)
    assert server.stop() == 0
    assert request_counts(rotated.read_text()).keys() >= before
    assert request_counts(file.read_text()) == Counter(after)
    messages = rotated.read_text() + file.read_text()
    assert all(message in messages for message in ("Starting gunicorn", "Booting worker", "Shutting down"))


@pytest.mark.guarantee("A full disk or a missing log folder fails no request and is reported once")
def test_missing_folder_fails_no_request(serve, sqlite_url, valkey, tmp_path):
    """When the folder of LOG_TO_FILE disappears, requests succeed and their lines are on standard error."""
    folder = tmp_path / "logs"
    folder.mkdir()
    settings = {"FLASK_ENV": "testing", "TEST_DATABASE_URL": sqlite_url, "LOG_TO_FILE": str(folder / "app.log")}
    server = serve(sqlite_url, valkey.url, **settings)
    (folder / "app.log").unlink()
    folder.rmdir()
    assert [send_request(server.port, "GET", "/health").status for _ in range(3)] == [200] * 3
    wait_for(lambda: server.log.read_text().count("GET /health 200") >= 3)
    assert server.log.read_text().count("cannot write LOG_TO_FILE") == 1


@pytest.mark.guarantee("A stopped server has logged every request that it answered, once")
def test_stop_writes_waiting_lines(serve, sqlite_url, valkey):
    """A server that stops has logged every request, once."""
    server = serve(sqlite_url, valkey.url, FLASK_ENV="testing", TEST_DATABASE_URL=sqlite_url, WEB_CONCURRENCY="2")
    ids = send_requests(server)
    assert server.stop() == 0
    counts = request_counts(server.log.read_text())
    assert {counts[request_id] for request_id in ids} == {1}
