"""Tests of `init`: what it creates, and that it never changes existing files."""

import errno
import os
import stat

import pytest

from ops.errors import OpsError, PreconditionError
from ops.release.state import Traffic
from ops.server import FILE, Server, certificates, credentials, disk, init
from tests.support.ops.fake_docker import FakeDocker, FakeRunner
from tests.support.ops.faults import failing


class NewServer:
    """A folder with an unpacked bundle."""

    def __init__(self, folder):
        self.folder, self.docker = folder, FakeDocker(folder)

    @property
    def server(self):
        """Return a new Server, as each command creates one."""
        return Server(self.folder, FakeRunner(docker=self.docker), self.folder / FILE)

    def init(self, *hosts):
        """Run the command."""
        init.init(self.server, list(hosts))

    def files(self):
        """Return each file and its text."""
        found = [*(path for path in self.folder.rglob("*") if path.is_file()), *self.folder.glob("certificates/live/*")]
        return {str(path.relative_to(self.folder)): path.read_text(encoding="utf-8") for path in found}

    def mode(self, name):
        """Return a file's permissions."""
        return stat.S_IMODE((self.folder / name).stat().st_mode)


@pytest.fixture
def new(tmp_path, monkeypatch):
    """A new server with disk space."""
    monkeypatch.setattr(disk, "FREE_BYTES", 0)
    (tmp_path / "shop").mkdir()
    return NewServer(tmp_path / "shop")


def test_settings():
    """The settings have the project name, the compose file and the hosts, and no secret."""
    lines = init.settings("shop", ["shop.example", "www.shop.example"], "").splitlines()
    assert lines[1:] == [
        "COMPOSE_PROJECT_NAME=shop",
        "COMPOSE_FILE=docker-compose.prod.yml",
        "TRUSTED_HOSTS=shop.example,www.shop.example",
    ]


def test_init(new):
    """A new server gets settings, secrets, a certificate and a colour."""
    new.init("shop.example")
    pair = {"certificates/live/fullchain.pem", "certificates/live/privkey.pem"}
    assert {".env", "secrets/secret_key", *pair} <= set(new.files())
    assert new.server.traffic == Traffic("blue")


def test_permissions(new):
    """Only its user may read a secret."""
    new.init("shop.example")
    assert new.mode("secrets") == 0o700
    assert {new.mode(name) for name in new.files() if name.startswith("secrets/")} == {0o600}
    assert new.mode(".env") == 0o600
    assert new.docker.owners["secret_key"] == "10001:10001"
    assert new.docker.owners["postgres_password"] == "999:999"
    assert new.docker.owners["."] == "101:101"  # certificates/


def test_second_run(new):
    """A second run changes nothing."""
    new.init("shop.example")
    before = new.files()
    new.init("other.example")
    assert new.files() == before


def test_existing_files(new):
    """Existing files are not changed."""
    new.init("shop.example")
    before = new.files()
    for name in before:
        (new.folder / name).write_text("mine", encoding="utf-8")
    new.init("shop.example")
    assert set(new.files().values()) == {"mine"}


@pytest.mark.parametrize("text", ["secrets:/files", "--entrypoint openssl", "/certificates-"])
def test_run_after_a_failure(new, text):
    """A run after a failed one creates the rest."""
    new.docker.fail = failing(text)
    with pytest.raises(OpsError):
        new.init("shop.example")
    new.init("shop.example")
    assert set(new.docker.owners) == {*credentials.missing(new.folder / "none"), "."}


@pytest.mark.parametrize(
    "hosts",
    [[], [""], ["Shop.example"], ["shop.example:443"], ["https://shop.example"], [".shop.example"], ["a", "b,c"]],
)
def test_hosts(new, hosts):
    """Without a valid host name nothing is written; the message has an example."""
    with pytest.raises(PreconditionError, match=r"--host shop\.example"):
        new.init(*hosts)
    assert new.files() == {}


def test_failed_certificate(new, monkeypatch):
    """If no certificate is obtained, all else is complete, and the message has the command to try again."""

    def refused(_server, **_options):
        raise OpsError("DNS problem")

    monkeypatch.setattr(certificates, "certificates", refused)
    with pytest.raises(OpsError, match=r"all else is ready\.\nDNS problem\n.*python3 -m ops certificates"):
        init.init(new.server, ["shop.example"], "me@shop.example")
    assert "ACME_EMAIL=me@shop.example" in new.files()[".env"]
    assert new.server.traffic == Traffic("blue")


@pytest.mark.parametrize("name", ["Shop", "my shop", "_shop"])
def test_folder(tmp_path, monkeypatch, name):
    """A folder name that is no valid project name is refused."""
    monkeypatch.setattr(disk, "FREE_BYTES", 0)
    (tmp_path / name).mkdir()
    new = NewServer(tmp_path / name)
    with pytest.raises(PreconditionError, match=name):
        new.init("shop.example")
    assert new.files() == {}


@pytest.mark.parametrize(
    ("version", "accepted"), [("2.24.0", True), ("v5.0.1", True), ("2.23.3", False), ("1.29.2", False)]
)
def test_compose(new, version, accepted):
    """An old version of Compose is refused."""
    new.docker.compose = version
    if accepted:
        new.init("shop.example")
    else:
        with pytest.raises(PreconditionError, match=version):
            new.init("shop.example")
        assert new.files() == {}


def test_full_disk(new, monkeypatch):
    """A full disk is refused before anything is written."""
    monkeypatch.setattr(disk, "FREE_BYTES", 2**80)
    with pytest.raises(PreconditionError, match="are free"):
        new.init("shop.example")
    assert new.files() == {}


def test_no_docker(new):
    """Without Docker nothing is written."""
    new.docker.fail = failing("docker version")
    with pytest.raises(OpsError, match="docker version"):
        new.init("shop.example")
    assert new.files() == {}


@pytest.mark.parametrize("name", ["state/traffic", "certificates"])
def test_umask(new, name):
    """Nginx may read its folders whatever the user's umask."""
    before = os.umask(0o077)
    try:
        new.init("shop.example")
    finally:
        os.umask(before)
    assert new.mode(name) & 0o055 == 0o055


def test_write_new_existing(tmp_path):
    """An existing file is not overwritten."""
    (tmp_path / "secret_key").write_text("mine", encoding="utf-8")
    with pytest.raises(FileExistsError):
        init.write_new(tmp_path / "secret_key", "new", 0o600)
    assert (tmp_path / "secret_key").read_text(encoding="utf-8") == "mine"


def test_write_new_is_atomic(tmp_path, monkeypatch):
    """A failed write leaves no file, so the next run creates it."""
    monkeypatch.setattr(os, "fsync", lambda _file: (_ for _ in ()).throw(OSError(errno.ENOSPC, "No space left")))
    with pytest.raises(OSError, match="No space left"):
        init.write_new(tmp_path / "secret_key", "new", 0o600)
    assert list(tmp_path.iterdir()) == []


def test_write_new_after_a_kill(tmp_path):
    """The remains of a killed run do not matter."""
    (tmp_path / "secret_key.new").write_text("ha", encoding="utf-8")
    init.write_new(tmp_path / "secret_key", "new", 0o600)
    assert {path.name: path.read_text(encoding="utf-8") for path in tmp_path.iterdir()} == {"secret_key": "new"}


@pytest.mark.parametrize("name", ["fullchain.pem", "privkey.pem"])
def test_incomplete_pair(new, name):
    """A certificate without its key, or a key without its certificate, is refused."""
    (new.folder / "certificates/live").mkdir(parents=True)
    (new.folder / "certificates/live" / name).write_text("mine", encoding="utf-8")
    with pytest.raises(PreconditionError, match="only one of"):
        new.init("shop.example")
    assert [path.name for path in (new.folder / "certificates/live").iterdir()] == [name]
