"""Whoever asked for it is told when a backup fails, and when all has recovered."""

import json

import pytest

from tests.support.helpers import wait_for
from tests.support.stack.listener import Listener

pytestmark = pytest.mark.timeout(120)


@pytest.fixture
def heard(data, image):
    """Let a listener be told, and return what gives all that it was told."""
    listener, settings = Listener(data, image), data.folder / ".env"
    before = settings.read_text()
    data.give_secret("webhook_url", listener.url("/hook"))
    settings.write_text(f"{before}COMPOSE_PROFILES=webhook\nWEBHOOK_SECONDS=1\n")
    data.compose("up", "--detach", "--no-deps", "backup-webhook")
    yield lambda: [json.loads(body)["text"] for body in listener.received_texts("/hook")]
    data.compose("rm", "--stop", "--force", "backup-webhook")
    settings.write_text(before)
    listener.destroy()


def test_a_failure_and_its_end_are_told(data, heard):
    """A stream that stops is told once, with the reason, and once more when it goes on; nothing else is."""
    data.compose("pause", "db")
    data.compose("restart", "wal-receiver")
    try:
        wait_for(heard, seconds=60)
    finally:
        data.compose("unpause", "db")
    wait_for(lambda: f"{data.name}: wal has recovered" in heard(), seconds=60)
    told = heard()
    assert [text.startswith(f"{data.name}: wal: ") for text in told] == [True, False]
    assert told[1] == f"{data.name}: wal has recovered"
