"""init: what it makes, and that it never changes what is there."""

import errno
import os
import stat

import pytest

from ops.errors import OpsError, PreconditionError
from ops.release import preflight
from ops.release.traffic import Traffic
from ops.server import FILE, Server, certificates, credentials, init
from tests.support.ops.fake_server import FakeDocker, FakeRunner
from tests.support.ops.faults import failing


class NewServer:
    """A folder into which a bundle was unpacked, and nothing else."""

    def __init__(self, folder):
        self.folder, self.docker = folder, FakeDocker(folder)

    @property
    def server(self):
        """What each command begins with."""
        return Server(self.folder, FakeRunner(docker=self.docker), self.folder / FILE)

    def init(self, *hosts):
        """Give the command."""
        init.init(self.server, list(hosts))

    def files(self):
        """Return each file with its text."""
        found = [*(path for path in self.folder.rglob("*") if path.is_file()), *self.folder.glob("certificates/live/*")]
        return {str(path.relative_to(self.folder)): path.read_text(encoding="utf-8") for path in found}

    def mode(self, name):
        """Return a file's rights."""
        return stat.S_IMODE((self.folder / name).stat().st_mode)


@pytest.fixture
def new(tmp_path, monkeypatch):
    """A new server, with room on its disk."""
    monkeypatch.setattr(preflight, "FREE_BYTES", 0)
    (tmp_path / "shop").mkdir()
    return NewServer(tmp_path / "shop")


def test_settings():
    """The settings name the project after its folder, its one compose file, and the hosts; and hold no secret."""
    lines = init.settings("shop", ["shop.example", "www.shop.example"], "").splitlines()
    assert lines[1:] == [
        "COMPOSE_PROJECT_NAME=shop",
        "COMPOSE_FILE=docker-compose.prod.yml",
        "TRUSTED_HOSTS=shop.example,www.shop.example",
    ]


def test_all(new):
    """A new server gets settings, secrets, a certificate and a colour."""
    new.init("shop.example")
    pair = {"certificates/live/fullchain.pem", "certificates/live/privkey.pem"}
    assert {".env", "secrets/secret_key", *pair} <= set(new.files())
    assert new.server.traffic == Traffic("blue")


def test_rights(new):
    """Secrets are readable for one user alone, each for the one that needs it."""
    new.init("shop.example")
    assert new.mode("secrets") == 0o700
    assert {new.mode(name) for name in new.files() if name.startswith("secrets/")} == {0o600}
    assert new.mode(".env") == 0o600
    assert new.docker.given["secret_key"] == "10001:10001"
    assert new.docker.given["postgres_password"] == "999:999"
    assert new.docker.given["."] == "101:101"  # the certificates, which certbot renews and nginx reads


def test_again(new):
    """A second time, nothing changes."""
    new.init("shop.example")
    before = new.files()
    new.init("other.example")
    assert new.files() == before


def test_what_is_there_stays(new):
    """Whatever of it is there already stays as it is."""
    new.init("shop.example")
    before = new.files()
    for name in before:
        (new.folder / name).write_text("mine", encoding="utf-8")
    new.init("shop.example")
    assert set(new.files().values()) == {"mine"}


@pytest.mark.parametrize("text", ["secrets:/given", "--entrypoint openssl", "/certificates-"])
def test_failed_half_way(new, text):
    """Where it failed half way, for the image could not be pulled, a second time makes good what is missing."""
    new.docker.fail = failing(text)
    with pytest.raises(OpsError):
        new.init("shop.example")
    new.init("shop.example")
    assert set(new.docker.given) == {*credentials.missing(new.folder / "none"), "."}


@pytest.mark.parametrize(
    "hosts",
    [[], [""], ["Shop.example"], ["shop.example:443"], ["https://shop.example"], [".shop.example"], ["a", "b,c"]],
)
def test_hosts(new, hosts):
    """Without a name that users can ask for nothing is written, and the message shows one."""
    with pytest.raises(PreconditionError, match=r"--host shop\.example"):
        new.init(*hosts)
    assert new.files() == {}


def test_no_certificate_yet(new, monkeypatch):
    """Where names do not lead here yet all else is done, and the message says what to do later."""

    def refused(_server, **_options):
        raise OpsError("DNS problem")

    monkeypatch.setattr(certificates, "certificates", refused)
    with pytest.raises(OpsError, match=r"all else is ready\.\nDNS problem\n.*python3 -m ops certificates"):
        init.init(new.server, ["shop.example"], "me@shop.example")
    assert "ACME_EMAIL=me@shop.example" in new.files()[".env"]
    assert new.server.traffic == Traffic("blue")


@pytest.mark.parametrize("name", ["Shop", "my shop", "_shop"])
def test_folder(tmp_path, monkeypatch, name):
    """A folder whose name cannot be a project's is refused."""
    monkeypatch.setattr(preflight, "FREE_BYTES", 0)
    (tmp_path / name).mkdir()
    new = NewServer(tmp_path / name)
    with pytest.raises(PreconditionError, match=name):
        new.init("shop.example")
    assert new.files() == {}


@pytest.mark.parametrize(
    ("version", "content"), [("2.24.0", True), ("v5.0.1", True), ("2.23.3", False), ("1.29.2", False)]
)
def test_compose(new, version, content):
    """A Compose that is too old for the compose file is refused by its version."""
    new.docker.compose = version
    if content:
        new.init("shop.example")
    else:
        with pytest.raises(PreconditionError, match=version):
            new.init("shop.example")
        assert new.files() == {}


def test_full_disk(new, monkeypatch):
    """A disk without room is refused before anything is written to it."""
    monkeypatch.setattr(preflight, "FREE_BYTES", 2**80)
    with pytest.raises(PreconditionError, match="are free"):
        new.init("shop.example")
    assert new.files() == {}


def test_no_docker(new):
    """Without an engine nothing is written."""
    new.docker.fail = failing("docker version")
    with pytest.raises(OpsError, match="docker version"):
        new.init("shop.example")
    assert new.files() == {}


@pytest.mark.parametrize("name", ["state/traffic", "certificates"])
def test_nginx_may_enter(new, name):
    """Nginx may enter the folders that it reads, whatever the umask of the person who gives the command."""
    before = os.umask(0o077)
    try:
        new.init("shop.example")
    finally:
        os.umask(before)
    assert new.mode(name) & 0o055 == 0o055


def test_never_over(tmp_path):
    """A file that came into being meanwhile is not written over."""
    (tmp_path / "secret_key").write_text("mine", encoding="utf-8")
    with pytest.raises(FileExistsError):
        init.write_new(tmp_path / "secret_key", "new", 0o600)
    assert (tmp_path / "secret_key").read_text(encoding="utf-8") == "mine"


def test_whole_or_not_at_all(tmp_path, monkeypatch):
    """A secret that could not be written whole is not there, so the next init makes it."""
    monkeypatch.setattr(os, "fsync", lambda _file: (_ for _ in ()).throw(OSError(errno.ENOSPC, "No space left")))
    with pytest.raises(OSError, match="No space left"):
        init.write_new(tmp_path / "secret_key", "new", 0o600)
    assert list(tmp_path.iterdir()) == []


def test_after_a_killed_one(tmp_path):
    """What a killed init had half written does not stand in the way."""
    (tmp_path / "secret_key.new").write_text("ha", encoding="utf-8")
    init.write_new(tmp_path / "secret_key", "new", 0o600)
    assert {path.name: path.read_text(encoding="utf-8") for path in tmp_path.iterdir()} == {"secret_key": "new"}


@pytest.mark.parametrize("name", ["fullchain.pem", "privkey.pem"])
def test_half_a_pair(new, name):
    """A certificate without its key, or a key without its certificate, is somebody's: it is not written over."""
    (new.folder / "certificates/live").mkdir(parents=True)
    (new.folder / "certificates/live" / name).write_text("mine", encoding="utf-8")
    with pytest.raises(PreconditionError, match="only one of"):
        new.init("shop.example")
    assert [path.name for path in (new.folder / "certificates/live").iterdir()] == [name]
