"""Off-site copies: encrypted, deduplicated, and sufficient to restore on another machine."""

import os
import secrets

import pytest

from tests.support.helpers import wait_for
from tests.support.stack.compose import docker
from tests.support.stack.writer import Writer, lost

pytestmark = pytest.mark.timeout(300)


class Repository:
    """A restic REST server on a server's network."""

    def __init__(self, tools, server):
        self.name = f"repository-{secrets.token_hex(4)}"
        argv = ("--user=65534:65534", "--tmpfs=/data:uid=65534,size=1g", "--env=HOME=/tmp", "--tmpfs=/tmp:uid=65534")
        command = ("restic-rest-server", "--no-auth", "--listen=:8080", "--path=/data")
        docker("run", "--detach", f"--name={self.name}", *argv, f"--network={server.name}_frontend", tools, *command)

    def configure(self, server):
        """Configure a server to copy its backups to this repository."""
        settings = f"COMPOSE_PROFILES=offsite\nRESTIC_REPOSITORY=rest:http://{self.name}:8080/\nOFFSITE_SECONDS=5\n"
        with (server.folder / ".env").open("a") as file:
            file.write(settings)

    def run(self, script):
        """Run a script in the container; return its output."""
        return docker("exec", self.name, "sh", "-c", script).stdout.strip()

    def kilobytes(self):
        """Return the repository's size."""
        return int(self.run("du -sk /data").split()[0])

    def destroy(self):
        """Remove the container."""
        docker("rm", "--force", self.name)


@pytest.fixture(scope="module")
def repository(data, tools):
    """A repository with a copy of the server's backups."""
    repository, settings = Repository(tools, data), data.folder / ".env"
    before = settings.read_text()
    repository.configure(data)
    data.ops("backup")
    data.compose("up", "--detach", "--no-deps", "offsite-copy")
    wait_for(lambda: "succeeded" in offsite_status(data), seconds=60)
    yield repository
    data.compose("rm", "--stop", "--force", "offsite-copy")
    settings.write_text(before)
    repository.destroy()


def offsite_status(server):
    """Return the status of the off-site copies."""
    return server.status()["backups"].get("offsite", {})


def copy(server):
    """Run a copy now."""
    server.compose("exec", "-T", "offsite-copy", "sh", "/opt/backup/offsite-copy.sh", "now")


@pytest.mark.guarantee("Offsite copies are encrypted and restore everything on a new machine")
def test_copies_are_encrypted_and_deduplicated(data, repository):
    """The repository has no plain text, and a second copy takes almost no space."""
    writer = Writer(data, data.token())
    assert writer.write()
    copy(data)
    assert repository.run(f"grep -rl {writer.prefix} /data || true") == ""
    before = repository.kilobytes()
    copy(data)
    assert repository.kilobytes() < before * 1.2


@pytest.mark.guarantee("Offsite copies are encrypted and restore everything on a new machine")
def test_restore_on_another_machine(data, repository, new_server, one):
    """A new machine with the repository's password restores everything, with its own database passwords."""
    writer = Writer(data, data.token())
    assert [writer.write() for _ in range(20)].count(None) == 0
    copy(data)
    other = new_server()
    other.ops("deploy", one)
    docker("network", "connect", f"{other.name}_frontend", repository.name)
    repository.configure(other)
    other.write_secret("restic_password", (data.folder / "secrets/restic_password").read_text())
    done = other.ops("restore", "--offsite", "--yes")
    assert "Restored:" in done.stdout
    assert lost(other, writer) == []
    assert Writer(other, other.token()).write()
    other.compose("rm", "--stop", "--force", "offsite-copy")  # two servers must not share a repository


def test_stopped_copy_releases_its_lock(data, repository):
    """A stopped copy removes its lock, which would block others for half an hour."""
    data.compose("stop", "offsite-copy")
    before, kept, large = offsite_status(data)["name"], repository.kilobytes(), data.folder / "backups/large"
    large.write_bytes(os.urandom(500 * 2**20))
    large.chmod(0o644)
    try:
        docker("update", "--cpus=0.2", repository.name)
        data.compose("up", "--detach", "--no-deps", "offsite-copy")
        wait_for(lambda: repository.kilobytes() > kept + 10_000, seconds=60)
        data.compose("stop", "offsite-copy")
        assert (repository.run("ls /data/locks"), offsite_status(data)["name"]) == ("", before)
    finally:
        large.unlink()
        docker("update", "--cpus=2", repository.name)
        data.compose("up", "--detach", "--no-deps", "offsite-copy")


@pytest.mark.usefixtures("repository")
def test_wrong_password(data):
    """A wrong password is reported with its file; the live database is untouched."""
    right = (data.folder / "secrets/restic_password").read_text()
    data.write_secret("restic_password", "wrong")
    data.compose("up", "--detach", "--no-deps", "--force-recreate", "offsite-copy")
    try:
        done = data.ops("restore", "--offsite", "--yes", check=False)
        message = "secrets/restic_password is not the password of RESTIC_REPOSITORY"
        assert (done.returncode, message in done.stdout) == (1, True), done.stdout
        wait_for(lambda: message in offsite_status(data).get("error", ""), seconds=60)
        assert data.request("/api/products?limit=1").status == 200
    finally:
        data.write_secret("restic_password", right)
        data.compose("up", "--detach", "--no-deps", "--force-recreate", "offsite-copy")
    wait_for(lambda: "error" not in offsite_status(data), seconds=60)


def test_unavailable_repository(data, repository):
    """An unavailable repository is reported and does not stop local backups; copies resume automatically."""
    docker("network", "disconnect", f"{data.name}_frontend", repository.name)
    try:
        data.ops("backup")
        wait_for(lambda: "error" in offsite_status(data), seconds=120)
        assert "FAILING since" in data.ops("status").stdout
    finally:
        docker("network", "connect", f"{data.name}_frontend", repository.name)
    wait_for(lambda: "error" not in offsite_status(data), seconds=120)
