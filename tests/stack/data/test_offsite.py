"""Copies of the backups elsewhere: encrypted, each piece once, and enough to begin again on another machine."""

import os
import secrets

import pytest

from tests.support.helpers import wait_for
from tests.support.stack.compose import docker
from tests.support.stack.writer import Writer, lost

pytestmark = pytest.mark.timeout(300)


class Store:
    """A place elsewhere that keeps what restic brings it: restic's REST server, on the network of whom it serves."""

    def __init__(self, tools, server):
        self.name = f"store-{secrets.token_hex(4)}"
        words = ("--user=65534:65534", "--tmpfs=/data:uid=65534,size=1g", "--env=HOME=/tmp", "--tmpfs=/tmp:uid=65534")
        command = ("restic-rest-server", "--no-auth", "--listen=:8080", "--path=/data")
        docker("run", "--detach", f"--name={self.name}", *words, f"--network={server.name}_frontend", tools, *command)

    def serve(self, server):
        """Let a server copy its backups here."""
        settings = f"COMPOSE_PROFILES=offsite\nRESTIC_REPOSITORY=rest:http://{self.name}:8080/\nOFFSITE_SECONDS=5\n"
        with (server.folder / ".env").open("a") as file:
            file.write(settings)

    def run(self, script):
        """Run a script beside what is kept here, and return what it prints."""
        return docker("exec", self.name, "sh", "-c", script).stdout.strip()

    def kilobytes(self):
        """Return how much is kept."""
        return int(self.run("du -sk /data").split()[0])

    def destroy(self):
        """Leave nothing behind."""
        docker("rm", "--force", self.name)


@pytest.fixture(scope="module")
def store(data, tools):
    """A place elsewhere, to which the server's backups are copied."""
    store, settings = Store(tools, data), data.folder / ".env"
    before = settings.read_text()
    store.serve(data)
    data.ops("backup")
    data.compose("up", "--detach", "--no-deps", "offsite-copy")
    wait_for(lambda: "succeeded" in offsite(data), seconds=60)
    yield store
    data.compose("rm", "--stop", "--force", "offsite-copy")
    settings.write_text(before)
    store.destroy()


def offsite(server):
    """Return how the copying went."""
    return server.status()["backups"].get("offsite", {})


def copy(server):
    """Copy what there is now."""
    server.compose("exec", "-T", "offsite-copy", "sh", "/opt/backup/offsite-copy.sh", "now")


def test_what_is_copied_is_encrypted_and_kept_once(data, store):
    """Nothing that users wrote can be read there, and a copy of what is there already takes next to no room."""
    writer = Writer(data, data.token())
    assert writer.write()
    copy(data)
    assert store.run(f"grep -rl {writer.prefix} /data || true") == ""
    before = store.kilobytes()
    copy(data)
    assert store.kilobytes() < before * 1.2


def test_another_machine_begins_again_from_it(data, store, new_server, one):
    """A new machine that has the password brings everything back that was copied, under passwords of its own."""
    writer = Writer(data, data.token())
    assert [writer.write() for _ in range(20)].count(None) == 0
    copy(data)
    other = new_server()
    other.ops("deploy", one)
    docker("network", "connect", f"{other.name}_frontend", store.name)
    store.serve(other)
    other.give_secret("restic_password", (data.folder / "secrets/restic_password").read_text())
    done = other.ops("restore", "--offsite", "--yes")
    assert "Restored:" in done.stdout
    assert lost(other, writer) == []
    assert Writer(other, other.token()).write()
    other.compose("rm", "--stop", "--force", "offsite-copy")  # or two would copy to one place


def test_a_copy_that_is_stopped_lets_go(data, store):
    """Stopped in the midst of a copy, it first takes its lock away, for which others would wait half an hour."""
    data.compose("stop", "offsite-copy")
    before, kept, large = offsite(data)["name"], store.kilobytes(), data.folder / "backups/large"
    large.write_bytes(os.urandom(500 * 2**20))
    large.chmod(0o644)
    try:
        docker("update", "--cpus=0.2", store.name)
        data.compose("up", "--detach", "--no-deps", "offsite-copy")
        wait_for(lambda: store.kilobytes() > kept + 10_000, seconds=60)
        data.compose("stop", "offsite-copy")
        assert (store.run("ls /data/locks"), offsite(data)["name"]) == ("", before)
    finally:
        large.unlink()
        docker("update", "--cpus=2", store.name)
        data.compose("up", "--detach", "--no-deps", "offsite-copy")


@pytest.mark.usefixtures("store")
def test_another_password_opens_nothing(data):
    """With a wrong password it is said which file is wrong; the copying is loud, and the live database left alone."""
    right = (data.folder / "secrets/restic_password").read_text()
    data.give_secret("restic_password", "wrong")
    data.compose("up", "--detach", "--no-deps", "--force-recreate", "offsite-copy")
    try:
        done = data.ops("restore", "--offsite", "--yes", check=False)
        says = "secrets/restic_password is not the password of RESTIC_REPOSITORY"
        assert (done.returncode, says in done.stdout) == (1, True), done.stdout
        wait_for(lambda: says in offsite(data).get("error", ""), seconds=60)
        assert data.ask("/api/products?limit=1").status == 200
    finally:
        data.give_secret("restic_password", right)
        data.compose("up", "--detach", "--no-deps", "--force-recreate", "offsite-copy")
    wait_for(lambda: "error" not in offsite(data), seconds=60)


def test_a_place_that_is_away_is_loud_and_stops_nothing_else(data, store):
    """While the copies cannot be made, that is said; the backups here go on, and copying begins again by itself."""
    docker("network", "disconnect", f"{data.name}_frontend", store.name)
    try:
        data.ops("backup")
        wait_for(lambda: "error" in offsite(data), seconds=120)
        assert "FAILING since" in data.ops("status").stdout
    finally:
        docker("network", "connect", f"{data.name}_frontend", store.name)
    wait_for(lambda: "error" not in offsite(data), seconds=120)
