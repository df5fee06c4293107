"""LOG_TO_FILE with several processes: every line is there once and whole, Gunicorn's own too."""

import json
import subprocess
import sys
from collections import Counter

from tests.support.helpers import ROOT, wait_for
from tests.support.integration.client import ask, together

# Forks as Gunicorn does, after the master has opened the file.
WRITERS = """
import logging, os, sys
from app.observability.log_file import SharedFileHandler
log = logging.getLogger("shop")
log.addHandler(SharedFileHandler(sys.argv[1], 20_000, 60))
log.error("master 0 %s", "x" * 60)
children = []
for name in range(4):
    if not (child := os.fork()):
        for number in range(1000):
            log.error("%d %d %s", name, number, "x" * (number % 200))
        os._exit(0)
    children.append(child)
sys.exit(max(os.waitpid(child, 0)[1] for child in children))
"""


def lines(folder):
    """Return all lines of all files, oldest file first."""
    files = sorted(folder.glob("app.log*"), key=lambda path: -int(path.suffix[1:]) if path.suffix[1:].isdigit() else 0)
    return [line for path in files for line in path.read_text().splitlines()]


def test_processes(tmp_path):
    """Four processes at once, through dozens of rotations: each line is there once and whole."""
    command = [sys.executable, "-c", WRITERS, str(tmp_path / "app.log")]
    subprocess.run(command, cwd=ROOT, timeout=60, check=True)
    expected = Counter(f"{name} {number} {'x' * (number % 200)}".strip() for name in range(4) for number in range(1000))
    expected[f"master 0 {'x' * 60}"] = 1
    assert len(list(tmp_path.iterdir())) > 10
    assert Counter(line.strip() for line in lines(tmp_path)) == expected


def test_gunicorn(serve, sqlite_url, valkey, tmp_path):
    """With two workers each request's line is in the file, beside what the master and the workers say of themselves."""
    file = tmp_path / "app.log"
    server = serve(
        sqlite_url,
        valkey.url,
        FLASK_ENV="testing",
        TEST_DATABASE_URL=sqlite_url,
        WEB_CONCURRENCY="2",
        LOG_TO_FILE=str(file),
    )
    asked = together(8, lambda _: [ask(server.port, "GET", "/health").headers["X-Request-ID"] for _ in range(20)])
    wait_for(lambda: file.read_text().count("\n") > 160)
    assert server.stop() == 0
    records = [json.loads(line) for line in file.read_text().splitlines()]
    assert {record["request_id"] for record in records} >= {request_id for ids in asked for request_id in ids}
    messages = " ".join(record["message"] for record in records if record["logger"] == "gunicorn.error")
    assert "Starting gunicorn" in messages
    assert "Booting worker" in messages
    assert "Shutting down" in messages


def test_folder_is_read_only(serve, sqlite_url, valkey, tmp_path):
    """A file that cannot be written fails no request, and the lines are on standard error."""
    folder = tmp_path / "logs"
    folder.mkdir()
    server = serve(
        sqlite_url, valkey.url, FLASK_ENV="testing", TEST_DATABASE_URL=sqlite_url, LOG_TO_FILE=str(folder / "app.log")
    )
    (folder / "app.log").unlink()
    folder.rmdir()
    assert [ask(server.port, "GET", "/health").status for _ in range(3)] == [200] * 3
    wait_for(lambda: server.log.read_text().count("GET /health 200") >= 3)
    assert server.log.read_text().count("LOG_TO_FILE cannot be written") == 1


def test_stop(serve, sqlite_url, valkey):
    """A server that is stopped at once, with lines that wait for others, has written each request's line once."""
    server = serve(sqlite_url, valkey.url, FLASK_ENV="testing", TEST_DATABASE_URL=sqlite_url, WEB_CONCURRENCY="2")
    asked = together(8, lambda _: [ask(server.port, "GET", "/health").headers["X-Request-ID"] for _ in range(20)])
    assert server.stop() == 0
    records = [json.loads(line) for line in server.log.read_text().splitlines()]
    told = Counter(record["request_id"] for record in records if record["logger"] == "app.request")
    assert {told[request_id] for ids in asked for request_id in ids} == {1}
