"""Fetching a release: by digest only, signature first, bundle atomically."""

import os
import shutil
import stat

import pytest

from ops.errors import OpsError, PreconditionError
from ops.release import fetch
from ops.release.bundle import bundle_of
from ops.server import FILE
from tests.support.ops.fake_image import Image
from tests.support.ops.faults import failing

DIGEST = "sha256:" + "0a" * 32


@pytest.mark.parametrize("name", ["shop", "registry.example:5000/team/shop", "shop:1.2"])
def test_digest(name):
    """An image with a digest is accepted."""
    assert fetch.require_digest(f"{name}@{DIGEST}") == f"{name}@{DIGEST}"


@pytest.mark.parametrize(
    "image",
    [
        *["", "shop", "shop:latest", "registry.example/shop:1.2", DIGEST, f"@{DIGEST}"],
        *[f"shop@{DIGEST.upper()}", f"shop@sha256:{'0A' * 32}", f"shop@{DIGEST[:-1]}", f"shop@{DIGEST}0"],
        *[f"shop@{DIGEST}\n", f"shop @{DIGEST}", f"-shop@{DIGEST}", f"shop@sha512:{'0' * 128}", "--help"],
    ],
)
def test_no_digest(image):
    """Any other name is refused with the expected form."""
    with pytest.raises(PreconditionError, match=r"NAME@sha256:…"):
        fetch.require_digest(image)


@pytest.fixture
def image(shop):
    """An image in a registry, not yet unpacked."""
    found = Image("second")
    shop.docker.images[found.name] = found
    shop.docker.unpack = lambda folder: shop.unpack(type(shop.folder)(folder), "second")
    return found


@pytest.fixture
def signed(shop):
    """The server has a key that verifies signatures."""
    (shop.folder / "secrets" / "cosign.pub").write_text("a key", encoding="utf-8")


def starts(shop):
    """Return the first two words of each command."""
    return [" ".join(done.split()[:2]) for done in shop.docker.executed if not done.startswith("docker compose")]


def test_bundle(shop, image):
    """The bundle has its own folder, and the temporary container is removed."""
    bundle = fetch.fetch(shop.server(), image.name)
    assert bundle == bundle_of(shop.server(), image.name)
    assert (bundle / FILE).read_text(encoding="utf-8") == "second"
    assert shop.docker.one_offs == []


@pytest.mark.usefixtures("signed")
def test_signature_comes_first(shop, image):
    """The signature is verified before anything of the image is used."""
    fetch.fetch(shop.server(), image.name)
    assert starts(shop) == ["docker pull", "cosign verify", "docker create", "docker cp", "docker rm"]


@pytest.mark.usefixtures("signed")
def test_wrong_signature(shop, image):
    """An image with a wrong signature leaves no bundle."""
    shop.docker.fail = failing("cosign")
    with pytest.raises(OpsError, match="cosign verify"):
        fetch.fetch(shop.server(), image.name)
    assert starts(shop) == ["docker pull"]
    assert not bundle_of(shop.server(), image.name).exists()


@pytest.mark.parametrize("key", ["a link to nowhere", "an unreadable folder"])
def test_hidden_key(shop, image, monkeypatch, key):
    """An inaccessible key fails the fetch instead of skipping the verification."""
    if key == "a link to nowhere":
        (shop.folder / "secrets" / "cosign.pub").symlink_to("nowhere")
    else:
        monkeypatch.setattr(os, "lstat", lambda _path: (_ for _ in ()).throw(PermissionError(key)))
    shop.docker.fail = failing("cosign")
    with pytest.raises((OpsError, PermissionError)):
        fetch.fetch(shop.server(), image.name)
    assert not bundle_of(shop.server(), image.name).exists()


def test_not_set_up(shop, image):
    """On a server that is not set up, the message names `init`."""
    shutil.rmtree(shop.folder / "state")
    with pytest.raises(PreconditionError, match="python3 -m ops init"):
        fetch.fetch_and_continue(shop.server(), image.name, ["deploy", image.name])


def test_no_key(shop, image):
    """Without a key, no signature is verified."""
    fetch.fetch(shop.server(), image.name)
    assert "cosign verify" not in starts(shop)


def test_cut_short(shop, image):
    """A failed copy leaves no partial bundle and no container."""
    shop.docker.fail = failing("docker cp")
    with pytest.raises(OpsError, match="docker cp"):
        fetch.fetch(shop.server(), image.name)
    assert not bundle_of(shop.server(), image.name).exists()
    assert shop.docker.one_offs == []


def test_again(shop, image):
    """An existing bundle stays untouched: nginx may be running on it."""
    bundle = fetch.fetch(shop.server(), image.name)
    before, shop.docker.executed = bundle.stat(), []
    assert fetch.fetch(shop.server(), image.name) == bundle
    assert (bundle.stat().st_ino, bundle.stat().st_mtime_ns) == (before.st_ino, before.st_mtime_ns)
    assert starts(shop) == ["docker pull"]


def test_after_a_kill(shop, image):
    """A partial bundle of a killed fetch is replaced."""
    bundle = bundle_of(shop.server(), image.name)
    half = bundle.with_suffix(".new")
    half.mkdir(parents=True)
    (half / "half").write_text("", encoding="utf-8")
    fetch.fetch(shop.server(), image.name)
    assert not (bundle / "half").exists()
    assert not half.exists()


def test_foreign_image(shop, image):
    """An image without a bundle is refused."""
    shop.docker.unpack = lambda _folder: ""
    with pytest.raises(PreconditionError, match="has no bundle"):
        fetch.fetch(shop.server(), image.name)


@pytest.fixture
def replaced(monkeypatch):
    """The arguments with which the process was replaced."""
    found = {}

    def execv(program, argv):
        descriptor = int(argv[argv.index("--lock-fd") + 1])
        found.update(program=program, argv=argv, inheritable=os.get_inheritable(descriptor))
        found.update(is_open=stat.S_ISREG(os.fstat(descriptor).st_mode))

    monkeypatch.setattr(os, "execv", execv)
    monkeypatch.setattr(os, "chdir", lambda folder: found.update(folder=folder))
    return found


def test_continue(shop, image, replaced):
    """The release's own ops continues in its bundle, with the same arguments and the server's folder."""
    fetch.fetch_and_continue(shop.server(), image.name, ["deploy", image.name])
    assert replaced["argv"][1:5] == ["-m", "ops", "--folder", str(shop.folder)]
    assert replaced["argv"][-2:] == ["deploy", image.name]
    assert replaced["folder"] == bundle_of(shop.server(), image.name)


def test_lock_is_inherited(shop, image, replaced):
    """The new process inherits the open descriptor of the lock."""
    fetch.fetch_and_continue(shop.server(), image.name, ["deploy", image.name])
    assert replaced["inheritable"]
    assert replaced["is_open"]


def test_dry_run(shop, image, replaced):
    """A dry run neither replaces the process nor unpacks anything."""
    fetch.fetch_and_continue(shop.server(dry=True), image.name, ["deploy", image.name])
    assert replaced == {}
    assert starts(shop) == ["docker info"]
    assert not bundle_of(shop.server(), image.name).exists()
