"""The forced command: the deploy key can run release commands and nothing else."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ops.cli import forced_command
from ops.errors import PreconditionError

IMAGE = "registry.example:5000/shop@sha256:" + "0" * 64


@pytest.mark.parametrize(
    "command",
    [
        f"deploy {IMAGE}",
        f"deploy {IMAGE} --release=0123abc --canary 10 --for 60 --budget 1 --allow-contract --timeout 90",
        "rollback",
        f"rollback {IMAGE}",
        f"canary {IMAGE} --percent 5",
        "promote",
        "abort",
        "status --json",
        "logs --tail 20 web-blue nginx",
    ],
)
def test_allowed(command):
    """Release commands are allowed with their options."""
    assert forced_command.arguments(command) == command.split()


@pytest.mark.parametrize("command", [None, ""])
def test_no_command(command):
    """Without a command, the error lists the allowed ones."""
    with pytest.raises(PreconditionError, match=r"no shell.*deploy"):
        forced_command.arguments(command)


@pytest.mark.guarantee("The deploy key can run release commands only, with trusted images only")
@pytest.mark.parametrize(
    "command",
    [
        "init --host a",
        "forced-command",
        "sh",
        "bash -c id",
        "docker ps",
        "--help",
        "--lock-fd 3 deploy x",
        "--folder /tmp deploy x",
        "/bin/sh",
        "python3 -m ops deploy",
        " ",
        "scp -t /",
    ],
)
def test_other_commands(command):
    """Any other command is refused, also `init` and options before the command."""
    with pytest.raises(PreconditionError, match="not allowed"):
        forced_command.arguments(command)


@pytest.mark.parametrize("name", ["DOCKER_HOST", "PYTHONPATH", "PATH"])
@pytest.mark.parametrize("form", ["{}=/tmp deploy x", "env {}=/tmp deploy x", "export {}=/tmp; deploy x"])
def test_variables(name, form):
    """A command cannot set environment variables."""
    with pytest.raises(PreconditionError):
        forced_command.arguments(form.format(name))


@pytest.mark.parametrize(
    "trick",
    [
        *[
            "; id",
            "&& id",
            "| id",
            "& id",
            "$(id)",
            "`id`",
            "$HOME",
            "> /etc/passwd",
            "< /etc/passwd",
            "{a,b}",
            "*",
            "~",
        ],
        *["'a b'", "''", "a\\ b", "'a\nb'", "é", "\x00", "a" * 301],
    ],
)
def test_shell(trick):
    """Shell syntax is refused, although no shell reads it."""
    with pytest.raises(PreconditionError, match="Invalid argument"):
        forced_command.arguments(f"status {trick}")


def test_quotes():
    """An unclosed quote is refused."""
    with pytest.raises(PreconditionError, match="cannot be parsed"):
        forced_command.arguments("status 'a")


@given(command=st.text(max_size=60))
def test_anything(command):
    """Any accepted text consists of plain arguments that begin with an allowed command."""
    try:
        argv = forced_command.arguments(command)
    except PreconditionError:
        return
    assert argv[0] in forced_command.ALLOWED
    assert all(word.isascii() and not set(word) & set(" \n;|&$`<>(){}*?~\\'\"") for word in argv)


FOREIGN = "evil.example/shop@sha256:0"
OWN = "registry.example/shop@sha256:0"


@pytest.mark.guarantee("The deploy key can run release commands only, with trusted images only")
def test_no_trust(shop):
    """Without a key or a repository, the deploy key cannot deploy: an image's ops has full rights."""
    with pytest.raises(PreconditionError, match=r"secrets/cosign\.pub.*IMAGE_REPOSITORY"):
        forced_command.require_trusted(shop.server(), OWN)


def test_signed(shop):
    """With a signature key, any repository is accepted: `fetch` verifies the signature."""
    (shop.folder / "secrets/cosign.pub").write_text("a key", encoding="utf-8")
    forced_command.require_trusted(shop.server(), FOREIGN)


@pytest.mark.parametrize("name", ["evil.example/shop", "registry.example/shop/evil", "registry.example/sho", "shop"])
def test_own_repository(shop, name):
    """With a repository, only its images are accepted, signed or not."""
    shop.docker.repository = "registry.example/shop"
    (shop.folder / "secrets/cosign.pub").write_text("a key", encoding="utf-8")
    forced_command.require_trusted(shop.server(), OWN)
    with pytest.raises(PreconditionError, match=r"images of registry\.example/shop only"):
        forced_command.require_trusted(shop.server(), f"{name}@sha256:0")
