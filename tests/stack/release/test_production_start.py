"""A server as it begins: set up twice, brought up with Compose alone, and containers that come back elsewhere."""

import json
import shutil

import pytest

from tests.support.helpers import wait_for
from tests.support.stack.compose import docker
from tests.support.stack.project import copy
from tests.support.stack.server import Server

READY = {"database": "connected", "migrations": "current", "redis": "connected"}


def files(folder):
    """Return what each file of a server holds, its rights, its owner, and when it was written."""
    kept = [path for path in folder.rglob("*") if path.is_file() and "__pycache__" not in path.parts]
    stats = {path: path.stat() for path in kept}
    return {path: (path.read_bytes(), s.st_mode, s.st_uid, s.st_mtime_ns) for path, s in stats.items()}


def addresses(server, service):
    """Return the addresses of a service's containers, in the network that it shares with nginx."""
    ids = server.compose("ps", "--quiet", service).stdout.split()
    networks = [container["NetworkSettings"]["Networks"] for container in json.loads(docker("inspect", *ids).stdout)]
    return {network[f"{server.name}_frontend"]["IPAddress"] for network in networks}


@pytest.fixture(scope="module")
def checkout(tmp_path_factory):
    """Return a checkout of the project that was made a server, with two containers a colour, and nothing started."""
    server = Server(tmp_path_factory.mktemp("checkout"), replicas=2)
    shutil.rmtree(server.folder)
    copy(server.folder)
    server.init()
    yield server
    server.destroy()


@pytest.fixture(scope="module")
def up(checkout):
    """Bring it up with Compose alone."""
    checkout.compose("-f", "docker-compose.prod.yml", "up", "--detach", timeout=300)
    return checkout


def test_init_again_changes_nothing(checkout):
    """A second `init` writes over nothing, not even with the same text."""
    before = files(checkout.folder)
    assert "not changed" in checkout.ops("init", "--host", "another.example").stdout
    assert files(checkout.folder) == before


def test_compose_alone_names_what_is_missing(checkout, tmp_path):
    """In a checkout that `init` has not seen, `docker compose up` says what to do instead of starting something."""
    bare = Server(tmp_path)
    shutil.copy(checkout.folder / "docker-compose.prod.yml", bare.folder)
    done = bare.compose("-f", "docker-compose.prod.yml", "up", "--detach", check=False)
    assert done.returncode != 0
    assert "TRUSTED_HOSTS" in done.stderr
    assert "python3 -m ops init --host NAME" in done.stderr


def test_compose_alone_brings_a_working_site(up):
    """`docker compose -f docker-compose.prod.yml up -d` builds the image, migrates, and users are served."""
    wait_for(lambda: up.ask("/health/ready").json["checks"] == READY, seconds=60)
    assert up.ask("/api/products").json["items"] == []


def test_a_product_outlives_down_and_up(up):
    """What was answered 201 is there after all containers are gone and made anew."""
    wait_for(lambda: up.ask("/health/ready").status == 200, seconds=60)
    product = {"sku": "START-1", "name": "Mug", "price": 100, "currency": "EUR"}
    created = up.ask("/api/products", "POST", json=product, token=up.token())
    assert created.status == 201, created.body
    up.compose("down")
    up.compose("up", "--detach")
    wait_for(lambda: up.ask("/health/ready").status == 200, seconds=60)
    assert up.ask(created.headers["Location"]).json["sku"] == "START-1"


@pytest.fixture
def elsewhere(up):
    """Take every container of the colour that serves away and start it at another address; return the old ones."""
    wait_for(lambda: up.ask("/health/ready").status == 200, seconds=60)
    old = addresses(up, "web-blue")
    up.compose("rm", "--stop", "--force", "web-blue", timeout=120)
    words = ("--detach", f"--network={up.name}_frontend", f"--label={up.name}", f"{up.name}:green", "sleep", "600")
    taken = [docker("run", "--init", *words).stdout.strip() for _ in old]
    up.compose("up", "--detach", "--no-deps", "web-blue")
    yield old
    docker("rm", "--force", "--volumes", *taken, check=False)


def answered_by(server, request_id):
    """Return the container of the colour that serves in whose log a request is."""
    ids = server.compose("ps", "--quiet", "web-blue").stdout.split()
    return next(container for container in ids if request_id in docker("logs", "--tail", "100", container).stderr)


def test_nginx_finds_every_container_that_came_back_elsewhere(up, elsewhere):
    """Made anew with new addresses, it is served within seconds of being ready, by each of its containers."""
    assert not addresses(up, "web-blue") & elsewhere
    wait_for(lambda: up.ask("/health/ready").status == 200, seconds=30)
    answers = [up.ask("/api/products") for _ in range(20)]
    assert {answer.status for answer in answers} == {200}
    wait_for(lambda: len({answered_by(up, up.ask("/health").request_id) for _ in range(6)}) == 2, seconds=20)
