"""`docker compose watch`: changed code is served without a build."""

import subprocess

import pytest

from tests.support.helpers import wait_for


@pytest.fixture(scope="module")
def watched_file(running):
    """Run `docker compose watch`; yield a route's file, and restore files and container at the end."""
    health = running.folder / "app" / "routes" / "health.py"
    before = health.read_text()
    log = running.folder.parent / "watch.log"
    with log.open("w") as output:
        process = running.start("watch", "--no-up", stdout=output, stderr=subprocess.STDOUT)
        wait_for(lambda: "Watch enabled" in log.read_text(), seconds=20)
        yield health
        process.terminate()
        process.wait(20)
    health.write_text(before)
    running.up("--force-recreate", "--no-deps", "web")


def test_changed_code_is_served_within_seconds(running, watched_file):
    """A code change is served within seconds, by the same container and image."""
    before = running.inspect("web")
    watched_file.write_text(watched_file.read_text().replace('"status": "healthy"', '"status": "changed"'))
    wait_for(lambda: running.request("/health").json == {"status": "changed"}, seconds=30)
    after = running.inspect("web")
    assert (after["Id"], after["Image"]) == (before["Id"], before["Image"])


def test_a_deleted_file_is_deleted_in_the_container(running, watched_file):
    """A deleted file is deleted in the container."""
    extra = watched_file.with_name("extra.py")
    extra.write_text("")
    wait_for(lambda: exists(running, "extra.py"), seconds=20)
    extra.unlink()
    wait_for(lambda: not exists(running, "extra.py"), seconds=20)


def exists(stack, name):
    """Whether the container has this route module."""
    return stack.compose("exec", "-T", "web", "test", "-e", f"/srv/app/routes/{name}", check=False).returncode == 0
