"""The `status` command."""

import json

import pytest

from ops.server import status
from tests.support.ops.faults import Killed


@pytest.fixture
def collect(shop):
    """Return a function that collects the status."""
    return lambda: status.collect(shop.server())


def test_deployed_digest(shop, collect):
    """An image from two registries has the name with which it was deployed."""
    image = shop.fetched("second", also_in=("another.example",))
    shop.deploy(image)
    assert collect()["colours"]["blue"]["image"] == image.name


def test_built_here(shop, collect):
    """An image without a digest has its id."""
    known = shop.docker.colours["green"].name
    shop.docker.images.clear()
    assert collect()["colours"]["green"]["image"] == known


def test_canary(shop, collect):
    """During a canary, the status shows the share of each colour."""
    shop.canary(shop.fetched("second"), percent=20)
    seen = collect()
    assert (seen["active_colour"], seen["canary_percent"]) == ("green", 20)
    lines = status.format_status(seen).splitlines()
    assert [line.split()[1:3] for line in lines if line.startswith("  web-")] == [["20", "%"], ["80", "%"]]


def test_interrupted(shop, collect, at_step):
    """The status shows an interrupted command until the next one has recovered."""
    at_step("smoke", Killed())
    with pytest.raises(Killed):
        shop.deploy(shop.fetched("second"))
    assert collect()["interrupted"]
    assert "the last command was interrupted" in status.format_status(collect())
    shop.recover()
    assert not collect()["interrupted"]


def test_json(collect):
    """The status can be serialised as JSON."""
    assert json.loads(json.dumps(collect())) == collect()
