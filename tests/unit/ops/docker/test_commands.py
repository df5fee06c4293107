"""Commands whose exact arguments matter."""

import itertools
from pathlib import Path

import pytest

from ops.docker import commands
from ops.docker.compose import ONE_OFF_LABEL, Compose

COMPOSE = Compose(Path("/srv/shop"), Path("/srv/shop/state/releases/1/docker-compose.prod.yml"))
PREFIX = [
    *["docker", "compose", "--project-directory", "/srv/shop"],
    *["--file", "/srv/shop/state/releases/1/docker-compose.prod.yml"],
]
IMAGE = "registry.example/shop@sha256:00"


def test_start_colour():
    """Starting a colour affects no other service and neither builds nor pulls."""
    options = ["--detach", "--no-deps", "--no-build", "--pull", "never"]
    assert COMPOSE.start_colour("blue") == [*PREFIX, "up", *options, "web-blue"]


def test_stop_colour():
    """Stopping a colour keeps its containers and affects no other service."""
    assert COMPOSE.stop_colour("green") == [*PREFIX, "stop", "web-green"]


@pytest.mark.parametrize(
    ("services", "started"), [((), ["db", "redis-cache", "redis-sessions", "nginx"]), (("nginx",), ["nginx"])]
)
def test_start_stateful(services, started):
    """A deploy does not recreate a running database or nginx."""
    options = ["--detach", "--no-deps", "--no-recreate", "--wait", "--wait-timeout", "120"]
    assert COMPOSE.start_stateful(*services) == [*PREFIX, "up", *options, *started]


def test_migrate():
    """Migrations run in the requested image, set by the environment and not by a tag."""
    argv = ["run", "--rm", "--no-deps", "-T", "--label", ONE_OFF_LABEL, "migrate", "flask", "db", "upgrade"]
    assert COMPOSE.migrate(IMAGE, "flask", "db", "upgrade") == ["env", f"MIGRATE_IMAGE={IMAGE}", *PREFIX, *argv]


def test_trial():
    """A temporary database has no PgBouncer, so the release connects to it directly."""
    assert "DATABASE_HOST=db" in COMPOSE.trial("shop", {"DB_VOLUME": "shop_db-2"}).config()


def test_verify_signature():
    """The signature of the digest is verified with the server's key."""
    expected = ["cosign", "verify", "--key", "/srv/shop/secrets/cosign.pub", "--insecure-ignore-tlog=true", IMAGE]
    assert commands.verify_signature(IMAGE, Path("/srv/shop/secrets/cosign.pub")) == expected


def test_in_nginx():
    """A command runs in the project's own nginx container, without a terminal."""
    assert commands.in_nginx("shop", "nginx", "-t") == ["docker", "exec", "shop-nginx-1", "nginx", "-t"]


def values(argv, option):
    """Return the value of each use of an option."""
    return {after for before, after in itertools.pairwise(argv) if before == option}


def filters(argv):
    """Return the label filters of a `docker ps`."""
    return {label.removeprefix("label=com.docker.compose.") for label in values(argv, "--filter")}


def test_containers():
    """A colour's containers are those of this project and service, without one-off containers."""
    argv = commands.containers("shop", "blue")
    assert argv[:4] == ["docker", "ps", "--all", "--quiet"]
    assert filters(argv) == {"project=shop", "service=web-blue", "oneoff=False"}


def test_one_offs():
    """One-off containers are those of ops in this project, never an operator's."""
    argv = commands.one_offs("shop")
    assert argv[:4] == ["docker", "ps", "--all", "--quiet"]
    assert filters(argv) == {"project=shop", f"label={ONE_OFF_LABEL}"}
    assert ONE_OFF_LABEL in values(COMPOSE.migrate(IMAGE), "--label")


def test_create():
    """The container that a bundle is copied from is a one-off, so that recovery removes it."""
    argv = commands.create(IMAGE, "shop")
    assert values(commands.one_offs("shop"), "--filter") <= {f"label={label}" for label in values(argv, "--label")}
    assert argv[:4] == ["docker", "create", "--network", "none"]
    assert argv[-1] == IMAGE


def test_remove_image():
    """An image in use is not removed by force."""
    assert commands.remove_image(IMAGE) == ["docker", "image", "rm", IMAGE]


def test_chown():
    """Files change owner in a container with two capabilities and no network."""
    argv = commands.chown(Path("/srv/shop/secrets"), 10001, ["secret_key"], "nginx:1.30")
    assert argv[:8] == ["docker", "run", "--rm", "--network", "none", "--user", "0:0", "--cap-drop"]
    assert argv[8] == "ALL"
    assert argv[-4:] == ["nginx:1.30", "-R", "10001:10001", "/files/secret_key"]


def test_curl():
    """A request has the Host header that the application trusts, and a timeout."""
    argv = commands.curl("http://127.0.0.1:8001/health", "shop.example")
    assert "Host: shop.example" in argv
    assert "--max-time" in argv
    assert argv[-1] == "http://127.0.0.1:8001/health"


def test_nginx_configuration():
    """Nginx tests and reloads the configuration file that Compose starts it with."""
    assert commands.test_nginx(commands.EDGE) == ["sh", "/etc/nginx/edge/apply-config.sh", "/etc/nginx/edge"]
    assert commands.reload_nginx()[:3] == ["nginx", "-c", "/etc/nginx/edge/production.conf"]
