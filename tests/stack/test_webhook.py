"""Whoever asked for it is told when a backup fails, and when all is well again."""

import json
import secrets

import pytest

from tests.helpers import wait_for
from tests.stack.compose import docker

pytestmark = pytest.mark.timeout(120)
LISTEN = """
import http.server
class Handler(http.server.BaseHTTPRequestHandler):
    def do_POST(self):
        print(self.rfile.read(int(self.headers["Content-Length"])).decode(), flush=True)
        self.send_response(204)
        self.end_headers()
http.server.HTTPServer(("", 8000), Handler).serve_forever()
"""


@pytest.fixture
def heard(data, image):
    """Let a listener be told, and return what gives all that it was told."""
    name, settings = f"listener-{secrets.token_hex(4)}", data.folder / ".env"
    before = settings.read_text()
    docker("run", "--detach", f"--name={name}", f"--network={data.name}_outside", image, "python", "-c", LISTEN)
    data.give_secret("webhook_url", f"http://{name}:8000/hook")
    settings.write_text(f"{before}COMPOSE_PROFILES=webhook\nWEBHOOK_SECONDS=1\n")
    data.compose("up", "--detach", "--no-deps", "webhook")
    yield lambda: [json.loads(line)["text"] for line in docker("logs", name).stdout.splitlines()]
    data.compose("rm", "--stop", "--force", "webhook")
    settings.write_text(before)
    docker("rm", "--force", name)


def test_a_failure_and_its_end_are_told(data, heard):
    """A stream that stops is told once, with the reason, and once more when it goes on; nothing else is."""
    data.compose("pause", "db")
    data.compose("restart", "wal")
    try:
        wait_for(heard, seconds=60)
    finally:
        data.compose("unpause", "db")
    wait_for(lambda: f"{data.name}: wal is well again" in heard(), seconds=60)
    told = heard()
    assert [text.startswith(f"{data.name}: wal: ") for text in told] == [True, False]
    assert told[1] == f"{data.name}: wal is well again"
