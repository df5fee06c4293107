"""`docker compose watch`: changed code answers without a build."""

import subprocess

import pytest

from tests.support.helpers import wait_for


@pytest.fixture(scope="module")
def watching(running):
    """Watch the copy of the project; at the end put its files and the container back."""
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


def test_changed_code_answers_within_seconds(running, watching):
    """A change to the code is in the answers within seconds, in the same container from the same image."""
    before = running.inspect("web")
    watching.write_text(watching.read_text().replace('"status": "healthy"', '"status": "changed"'))
    wait_for(lambda: running.ask("/health").json == {"status": "changed"}, seconds=30)
    after = running.inspect("web")
    assert (after["Id"], after["Image"]) == (before["Id"], before["Image"])


def test_a_deleted_file_is_deleted_in_the_container(running, watching):
    """A file that is taken away is gone in the container too."""
    extra = watching.with_name("extra.py")
    extra.write_text("")
    wait_for(lambda: there(running, "extra.py"), seconds=20)
    extra.unlink()
    wait_for(lambda: not there(running, "extra.py"), seconds=20)


def there(stack, name):
    """Whether the container has this route module."""
    return stack.compose("exec", "-T", "web", "test", "-e", f"/srv/app/routes/{name}", check=False).returncode == 0
