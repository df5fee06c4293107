"""Fetching a release: by digest only, its signature before anything of it is used, its bundle whole or not at all."""

import os
import shutil
import stat

import pytest

from ops.errors import OpsError, PreconditionError
from ops.lock import INHERITED
from ops.release import colours, fetch
from ops.server import FILE
from tests.support.ops.fake_image import Image
from tests.support.ops.faults import failing

DIGEST = "sha256:" + "0a" * 32


@pytest.mark.parametrize("name", ["shop", "registry.example:5000/team/shop", "shop:1.2"])
def test_by_digest(name):
    """An image that is named by its digest is taken."""
    assert fetch.by_digest(f"{name}@{DIGEST}") == f"{name}@{DIGEST}"


@pytest.mark.parametrize(
    "image",
    [
        *["", "shop", "shop:latest", "registry.example/shop:1.2", DIGEST, f"@{DIGEST}"],
        *[f"shop@{DIGEST.upper()}", f"shop@sha256:{'0A' * 32}", f"shop@{DIGEST[:-1]}", f"shop@{DIGEST}0"],
        *[f"shop@{DIGEST}\n", f"shop @{DIGEST}", f"-shop@{DIGEST}", f"shop@sha512:{'0' * 128}", "--help"],
    ],
)
def test_refused(image):
    """Anything else is refused, and the message says what to give."""
    with pytest.raises(PreconditionError, match=r"NAME@sha256:…"):
        fetch.by_digest(image)


@pytest.fixture
def image(shop):
    """An image in a registry, whose bundle is not here yet."""
    found = Image("second")
    shop.docker.images[found.name] = found
    shop.docker.unpack = lambda folder: shop.unpack(type(shop.folder)(folder), "second")
    return found


@pytest.fixture
def signed(shop):
    """The server has a key to check signatures with."""
    (shop.folder / "secrets" / "cosign.pub").write_text("a key", encoding="utf-8")


def starts(shop):
    """Return how each command begins."""
    return [" ".join(done.split()[:2]) for done in shop.docker.done if not done.startswith("docker compose")]


def test_bundle(shop, image):
    """The release's files lie in a folder of its own, and the container that they were copied from is gone."""
    bundle = fetch.fetch(shop.server(), image.name)
    assert bundle == colours.bundle_of(shop.server(), image.name)
    assert (bundle / FILE).read_text(encoding="utf-8") == "second"
    assert shop.docker.one_offs == []


@pytest.mark.usefixtures("signed")
def test_signature_comes_first(shop, image):
    """The signature is checked before anything of the image is used."""
    fetch.fetch(shop.server(), image.name)
    assert starts(shop) == ["docker pull", "cosign verify", "docker create", "docker cp", "docker rm"]


@pytest.mark.usefixtures("signed")
def test_wrong_signature(shop, image):
    """An image that is not signed with the key leaves nothing behind."""
    shop.docker.fail = failing("cosign")
    with pytest.raises(OpsError, match="cosign verify"):
        fetch.fetch(shop.server(), image.name)
    assert starts(shop) == ["docker pull"]
    assert not colours.bundle_of(shop.server(), image.name).exists()


@pytest.mark.parametrize("key", ["a link to nowhere", "a folder that this user may not look into"])
def test_hidden_key(shop, image, monkeypatch, key):
    """A key that is there and cannot be seen is no reason to go without: nothing is used unchecked."""
    if key == "a link to nowhere":
        (shop.folder / "secrets" / "cosign.pub").symlink_to("nowhere")
    else:
        monkeypatch.setattr(os, "lstat", lambda _path: (_ for _ in ()).throw(PermissionError(key)))
    shop.docker.fail = failing("cosign")
    with pytest.raises((OpsError, PermissionError)):
        fetch.fetch(shop.server(), image.name)
    assert not colours.bundle_of(shop.server(), image.name).exists()


def test_not_set_up(shop, image):
    """On a server that was not set up, the message says what to do."""
    shutil.rmtree(shop.folder / "state")
    with pytest.raises(PreconditionError, match="python3 -m ops init"):
        fetch.fetch_and_continue(shop.server(), image.name, ["deploy", image.name])


def test_no_key(shop, image):
    """Without a key no signature is asked for."""
    fetch.fetch(shop.server(), image.name)
    assert "cosign verify" not in starts(shop)


def test_cut_short(shop, image):
    """Where copying fails there is no half a bundle, and the container is gone all the same."""
    shop.docker.fail = failing("docker cp")
    with pytest.raises(OpsError, match="docker cp"):
        fetch.fetch(shop.server(), image.name)
    assert not colours.bundle_of(shop.server(), image.name).exists()
    assert shop.docker.one_offs == []


def test_again(shop, image):
    """A bundle that is there is left alone, whole at every moment: nginx may be running on it."""
    bundle = fetch.fetch(shop.server(), image.name)
    before, shop.docker.done = bundle.stat(), []
    assert fetch.fetch(shop.server(), image.name) == bundle
    assert (bundle.stat().st_ino, bundle.stat().st_mtime_ns) == (before.st_ino, before.st_mtime_ns)
    assert starts(shop) == ["docker pull"]


def test_after_a_killed_one(shop, image):
    """What a killed command had half unpacked does not stand in the way, and nothing of it stays."""
    bundle = colours.bundle_of(shop.server(), image.name)
    half = bundle.with_suffix(".new")
    half.mkdir(parents=True)
    (half / "half").write_text("", encoding="utf-8")
    fetch.fetch(shop.server(), image.name)
    assert not (bundle / "half").exists()
    assert not half.exists()


def test_foreign_image(shop, image):
    """An image without a bundle is refused, and the message says why."""
    shop.docker.unpack = lambda _folder: ""
    with pytest.raises(PreconditionError, match="carries no bundle"):
        fetch.fetch(shop.server(), image.name)


@pytest.fixture
def became(monkeypatch):
    """What the process became."""
    found = {}

    def execve(program, argv, environment):
        descriptor = int(environment[INHERITED])
        found.update(program=program, argv=argv, environment=environment, kept=os.get_inheritable(descriptor))
        found.update(there=stat.S_ISREG(os.fstat(descriptor).st_mode))

    monkeypatch.setattr(os, "execve", execve)
    monkeypatch.setattr(os, "chdir", lambda folder: found.update(folder=folder))
    return found


def test_continue(shop, image, became):
    """The rest is done by the release's own ops, in its bundle, with the same argv and the server's folder."""
    fetch.fetch_and_continue(shop.server(), image.name, ["deploy", image.name])
    assert became["argv"][1:] == ["-m", "ops", "deploy", image.name]
    assert became["folder"] == colours.bundle_of(shop.server(), image.name)
    assert became["environment"][fetch.FOLDER] == str(shop.folder)
    assert became["environment"][fetch.FETCHED] == image.name


def test_lock_is_kept(shop, image, became):
    """The lock goes along: its descriptor is open and stays open."""
    fetch.fetch_and_continue(shop.server(), image.name, ["deploy", image.name])
    assert became["kept"]
    assert became["there"]


def test_dry_run(shop, image, became):
    """A dry run does not become anything else and unpacks nothing."""
    fetch.fetch_and_continue(shop.server(dry=True), image.name, ["deploy", image.name])
    assert became == {}
    assert starts(shop) == ["docker info"]
    assert not colours.bundle_of(shop.server(), image.name).exists()
