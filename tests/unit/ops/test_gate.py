"""The gate: what the deploy key may ask for, and nothing else."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ops import gate
from ops.errors import Refusal

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
    """The commands of a release pass, with their options."""
    assert gate.arguments(command) == command.split()


@pytest.mark.parametrize("command", [None, ""])
def test_no_command(command):
    """Without a command there is no shell, and what there is instead is named."""
    with pytest.raises(Refusal, match=r"no shell.*deploy"):
        gate.arguments(command)


@pytest.mark.parametrize(
    "command",
    [
        "init --host a",
        "gate",
        "sh",
        "bash -c id",
        "docker ps",
        "--help",
        "/bin/sh",
        "python3 -m ops deploy",
        " ",
        "scp -t /",
    ],
)
def test_other_commands(command):
    """Whatever else is asked for is refused, init included."""
    with pytest.raises(Refusal, match="may not"):
        gate.arguments(command)


@pytest.mark.parametrize("name", ["OPS_FOLDER", "OPS_FETCHED", "OPS_LOCK", "PATH"])
@pytest.mark.parametrize("form", ["{}=/tmp deploy x", "env {}=/tmp deploy x", "export {}=/tmp; deploy x"])
def test_variables(name, form):
    """No variable can be set by the command, so not the folder in which ops works either."""
    with pytest.raises(Refusal):
        gate.arguments(form.format(name))


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
    """Nothing that a shell would understand gets through, though no shell reads it."""
    with pytest.raises(Refusal, match="Not a plain word"):
        gate.arguments(f"status {trick}")


def test_quotes():
    """A quote that is not closed is refused with a reason."""
    with pytest.raises(Refusal, match="cannot be read"):
        gate.arguments("status 'a")


@given(command=st.text(max_size=60))
def test_anything(command):
    """Whatever is sent, it is refused or it is plain words that begin with one of ours."""
    try:
        words = gate.arguments(command)
    except Refusal:
        return
    assert words[0] in gate.ALLOWED
    assert all(word.isascii() and not set(word) & set(" \n;|&$`<>(){}*?~\\'\"") for word in words)


FOREIGN = "evil.example/shop@sha256:0"
OURS = "registry.example/shop@sha256:0"


def test_nothing_without_trust(shop):
    """Where neither a signature nor a repository is asked for, the key may bring nothing: an image's ops runs here."""
    with pytest.raises(Refusal, match=r"secrets/cosign\.pub.*IMAGE_REPOSITORY"):
        gate.refuse_foreign(shop.site(), OURS)


def test_signed(shop):
    """With a key to check signatures with, any name will do: the signature is checked when it is fetched."""
    (shop.folder / "secrets/cosign.pub").write_text("a key", encoding="utf-8")
    gate.refuse_foreign(shop.site(), FOREIGN)


@pytest.mark.parametrize("name", ["evil.example/shop", "registry.example/shop/evil", "registry.example/sho", "shop"])
def test_own_repository(shop, name):
    """Where the server names a repository, the key may bring its images and no others, signed or not."""
    shop.server.repository = "registry.example/shop"
    (shop.folder / "secrets/cosign.pub").write_text("a key", encoding="utf-8")
    gate.refuse_foreign(shop.site(), OURS)
    with pytest.raises(Refusal, match=r"images of registry\.example/shop only"):
        gate.refuse_foreign(shop.site(), f"{name}@sha256:0")
