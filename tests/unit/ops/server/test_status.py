"""`status`: what a person, and a script, learn of a server."""

import json

import pytest

from ops.server import status
from tests.support.ops.faults import Killed


@pytest.fixture
def look(shop):
    """Return a function that looks at the server."""
    return lambda: status.look(shop.server())


def test_deployed_digest(shop, look):
    """An image that two registries have is named as it was deployed, whichever name Docker tells first."""
    image = shop.fetched("second", also_in=("another.example",))
    shop.deploy(image)
    assert look()["colours"]["blue"]["image"] == image.name


def test_built_here(shop, look):
    """A container whose image is gone, or has no digest, is named by the image's id."""
    known = shop.docker.colours["green"].name
    shop.docker.images.clear()
    assert look()["colours"]["green"]["image"] == known


def test_canary(shop, look):
    """While some users are with a canary, it says which colour has what share."""
    shop.canary(shop.fetched("second"), percent=20)
    seen = look()
    assert (seen["active_colour"], seen["canary_percent"]) == ("green", 20)
    lines = status.text(seen).splitlines()
    assert [line.split()[1:3] for line in lines if line.startswith("  web-")] == [["20", "%"], ["80", "%"]]


def test_interrupted(shop, look, at_step):
    """After a command that was killed it says so, until the next one has mended what it left."""
    at_step("smoke", Killed())
    with pytest.raises(Killed):
        shop.deploy(shop.fetched("second"))
    assert look()["interrupted"]
    assert "the last command was interrupted" in status.text(look())
    shop.recover()
    assert not look()["interrupted"]


def test_json(look):
    """All of it can be written as JSON, which `--json` does."""
    assert json.loads(json.dumps(look())) == look()
