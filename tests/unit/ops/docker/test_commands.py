"""The commands whose argv matter: what a wrong one would do is in each claim."""

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
    """Starting a colour touches no other service, and neither builds nor pulls: what runs is what was verified."""
    options = ["--detach", "--no-deps", "--no-build", "--pull", "never"]
    assert COMPOSE.start_colour("blue") == [*PREFIX, "up", *options, "web-blue"]


def test_stop_colour():
    """Stopping a colour keeps its containers, and touches the one service."""
    assert COMPOSE.stop_colour("green") == [*PREFIX, "stop", "web-green"]


@pytest.mark.parametrize(
    ("asked", "started"), [((), ["db", "redis-cache", "redis-sessions", "nginx"]), (("nginx",), ["nginx"])]
)
def test_start_lasting(asked, started):
    """A database or an nginx that runs is not made anew by a deploy, whatever has changed in its definition."""
    options = ["--detach", "--no-deps", "--no-recreate", "--wait", "--wait-timeout", "120"]
    assert COMPOSE.start_stateful(*asked) == [*PREFIX, "up", *options, *started]


def test_migrate():
    """Migrations run in the image that is named, by the environment: no tag is moved before they have."""
    argv = ["run", "--rm", "--no-deps", "-T", "--label", ONE_OFF_LABEL, "migrate", "flask", "db", "upgrade"]
    assert COMPOSE.migrate(IMAGE, "flask", "db", "upgrade") == ["env", f"MIGRATE_IMAGE={IMAGE}", *PREFIX, *argv]


def test_trial():
    """A database on trial has no PgBouncer beside it, so the release that looks at it asks it directly."""
    assert "DATABASE_HOST=db" in COMPOSE.trial("shop", {"DB_VOLUME": "shop_db-2"}).config()


def test_verify_signature():
    """The signature is checked with the server's key, of the digest that will run."""
    expected = ["cosign", "verify", "--key", "/srv/shop/secrets/cosign.pub", "--insecure-ignore-tlog=true", IMAGE]
    assert commands.verify_signature(IMAGE, Path("/srv/shop/secrets/cosign.pub")) == expected


def test_in_edge():
    """A command beside nginx runs in the project's own nginx, without a terminal."""
    assert commands.in_nginx("shop", "nginx", "-t") == ["docker", "exec", "shop-nginx-1", "nginx", "-t"]


def values(argv, option):
    """Return what follows each use of an option."""
    return {after for before, after in itertools.pairwise(argv) if before == option}


def filters(argv):
    """Return the labels that a `docker ps` asks for."""
    return {label.removeprefix("label=com.docker.compose.") for label in values(argv, "--filter")}


def test_containers():
    """A colour's containers are those of this project and that service, without one-off containers."""
    argv = commands.containers("shop", "blue")
    assert argv[:4] == ["docker", "ps", "--all", "--quiet"]
    assert filters(argv) == {"project=shop", "service=web-blue", "oneoff=False"}


def test_one_offs():
    """One-off containers are those that ops made, in this project only: they are taken away, an operator's are not."""
    argv = commands.one_offs("shop")
    assert argv[:4] == ["docker", "ps", "--all", "--quiet"]
    assert filters(argv) == {"project=shop", f"label={ONE_OFF_LABEL}"}
    assert ONE_OFF_LABEL in values(COMPOSE.migrate(IMAGE), "--label")


def test_create():
    """The container that a bundle is copied from counts as a one-off of the project, so a killed deploy leaves none."""
    argv = commands.create(IMAGE, "shop")
    assert values(commands.one_offs("shop"), "--filter") <= {f"label={label}" for label in values(argv, "--label")}
    assert argv[:4] == ["docker", "create", "--network", "none"]
    assert argv[-1] == IMAGE


def test_remove_image():
    """An image that something still uses is not forced away."""
    assert commands.remove_image(IMAGE) == ["docker", "image", "rm", IMAGE]


def test_give():
    """Files are given away by a container that can do nothing else and has no network."""
    argv = commands.give(Path("/srv/shop/secrets"), 10001, ["secret_key"], "nginx:1.30")
    assert argv[:8] == ["docker", "run", "--rm", "--network", "none", "--user", "0:0", "--cap-drop"]
    assert argv[8] == "ALL"
    assert argv[-4:] == ["nginx:1.30", "-R", "10001:10001", "/given/secret_key"]


def test_ask():
    """A request from beside nginx names the host, for the application refuses any other, and has an end."""
    argv = commands.curl("http://127.0.0.1:8001/health", "shop.example")
    assert "Host: shop.example" in argv
    assert "--max-time" in argv
    assert argv[-1] == "http://127.0.0.1:8001/health"


def test_the_edge_reads_what_it_runs_with():
    """Nginx checks the configuration in the folder of the file that the compose file starts it with, and reloads it."""
    assert commands.test_nginx(commands.EDGE) == ["sh", "/etc/nginx/edge/apply-config.sh", "/etc/nginx/edge"]
    assert commands.reload_nginx()[:3] == ["nginx", "-c", "/etc/nginx/edge/production.conf"]
