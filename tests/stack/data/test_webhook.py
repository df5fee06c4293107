"""The backup webhook posts failures and recoveries."""

import json

import pytest

from tests.support.helpers import wait_for
from tests.support.stack.listener import Listener

pytestmark = pytest.mark.timeout(120)


@pytest.fixture
def posts(data, image):
    """Configure the webhook; yield a function that returns the posted texts."""
    listener, settings = Listener(data, image), data.folder / ".env"
    before = settings.read_text()
    data.write_secret("webhook_url", listener.url("/hook"))
    settings.write_text(f"{before}COMPOSE_PROFILES=webhook\nWEBHOOK_SECONDS=1\n")
    data.compose("up", "--detach", "--no-deps", "backup-webhook")
    yield lambda: [json.loads(body)["text"] for body in listener.received_texts("/hook")]
    data.compose("rm", "--stop", "--force", "backup-webhook")
    settings.write_text(before)
    listener.destroy()


@pytest.mark.guarantee("Failing backups are reported; a full backup disk stops the backups and no write")
def test_failure_and_recovery(data, posts):
    """A stopped WAL stream is posted once with its reason, and once after it recovers."""
    data.compose("pause", "db")
    data.compose("restart", "wal-receiver")
    try:
        wait_for(posts, seconds=60)
    finally:
        data.compose("unpause", "db")
    wait_for(lambda: f"{data.name}: wal has recovered" in posts(), seconds=60)
    posted = posts()
    assert [text.startswith(f"{data.name}: wal: ") for text in posted] == [True, False]
    assert posted[1] == f"{data.name}: wal has recovered"
