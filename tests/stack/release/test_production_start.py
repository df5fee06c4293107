"""A new server: initialised twice, started with Compose alone, and containers with new addresses."""

import json
import shutil

import pytest

from tests.support.helpers import wait_for
from tests.support.stack.compose import docker
from tests.support.stack.project import copy
from tests.support.stack.server import Server

READY = {"database": "connected", "migrations": "current", "redis": "connected"}


def files(folder):
    """Return content, mode, owner and modification time of each file of a server."""
    paths = [path for path in folder.rglob("*") if path.is_file() and "__pycache__" not in path.parts]
    stats = {path: path.stat() for path in paths}
    return {path: (path.read_bytes(), s.st_mode, s.st_uid, s.st_mtime_ns) for path, s in stats.items()}


def addresses(server, service):
    """Return the addresses of a service's containers on the frontend network."""
    ids = server.compose("ps", "--quiet", service).stdout.split()
    networks = [container["NetworkSettings"]["Networks"] for container in json.loads(docker("inspect", *ids).stdout)]
    return {network[f"{server.name}_frontend"]["IPAddress"] for network in networks}


@pytest.fixture(scope="module")
def checkout(tmp_path_factory):
    """A checkout of the project, initialised as a server with two containers per colour; nothing is started."""
    server = Server(tmp_path_factory.mktemp("checkout"), replicas=2)
    shutil.rmtree(server.folder)
    copy(server.folder)
    server.init()
    yield server
    server.destroy()


@pytest.fixture(scope="module")
def up(checkout):
    """The server, started with Compose alone."""
    checkout.compose("-f", "docker-compose.prod.yml", "up", "--detach", timeout=300)
    return checkout


def test_a_second_init_changes_nothing(checkout):
    """A second `init` rewrites no file, not even with the same content."""
    before = files(checkout.folder)
    assert "not changed" in checkout.ops("init", "--host", "another.example").stdout
    assert files(checkout.folder) == before


def test_compose_without_init_prints_the_remedy(checkout, tmp_path):
    """Before `init`, `docker compose up` fails and says what to run."""
    bare = Server(tmp_path)
    shutil.copy(checkout.folder / "docker-compose.prod.yml", bare.folder)
    completed = bare.compose("-f", "docker-compose.prod.yml", "up", "--detach", check=False)
    assert completed.returncode != 0
    assert "TRUSTED_HOSTS" in completed.stderr
    assert "python3 -m ops init --host NAME" in completed.stderr


@pytest.mark.guarantee("`docker compose -f docker-compose.prod.yml up -d` alone starts a working site")
def test_compose_alone_starts_a_working_site(up):
    """`docker compose -f docker-compose.prod.yml up -d` builds, migrates and serves."""
    wait_for(lambda: up.request("/health/ready").json["checks"] == READY, seconds=60)
    assert up.request("/api/products").json["items"] == []


def test_a_product_survives_down_and_up(up):
    """A product survives the removal and recreation of all containers."""
    wait_for(lambda: up.request("/health/ready").status == 200, seconds=60)
    product = {"sku": "START-1", "name": "Mug", "price": 100, "currency": "EUR"}
    created = up.request("/api/products", "POST", json=product, token=up.token())
    assert created.status == 201, created.body
    up.compose("down")
    up.compose("up", "--detach")
    wait_for(lambda: up.request("/health/ready").status == 200, seconds=60)
    assert up.request(created.headers["Location"]).json["sku"] == "START-1"


@pytest.fixture
def recreated(up):
    """Recreate the active colour's containers with new addresses; return the old ones."""
    wait_for(lambda: up.request("/health/ready").status == 200, seconds=60)
    old = addresses(up, "web-blue")
    up.compose("rm", "--stop", "--force", "web-blue", timeout=120)
    options = ("--detach", f"--network={up.name}_frontend", f"--label={up.name}", f"{up.name}:green", "sleep", "600")
    placeholders = [docker("run", "--init", *options).stdout.strip() for _ in old]
    up.compose("up", "--detach", "--no-deps", "web-blue")
    yield old
    docker("rm", "--force", "--volumes", *placeholders, check=False)


def container_of_request(server, request_id):
    """Return the container that logged a request."""
    ids = server.compose("ps", "--quiet", "web-blue").stdout.split()
    return next(container for container in ids if request_id in docker("logs", "--tail", "100", container).stderr)


def test_nginx_finds_recreated_containers(up, recreated):
    """Containers with new addresses receive traffic within seconds of being ready."""
    assert not addresses(up, "web-blue") & recreated
    wait_for(lambda: up.request("/health/ready").status == 200, seconds=30)
    responses = [up.request("/api/products") for _ in range(20)]
    assert {response.status for response in responses} == {200}
    wait_for(
        lambda: len({container_of_request(up, up.request("/health").request_id) for _ in range(6)}) == 2, seconds=20
    )
