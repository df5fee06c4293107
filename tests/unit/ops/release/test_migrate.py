"""Migrations in a deploy: applied before the new code runs, and none that takes away unless that is allowed."""

import json

import pytest

from ops.errors import OpsError
from tests.support.ops.faults import failing

EXPAND = {"revision": "0007", "contract": False, "title": "add a price"}
CONTRACT = {"revision": "0008", "contract": True, "title": "drop the old price"}


def upgrades(shop):
    """Return the commands that applied migrations."""
    return [done for done in shop.docker.done if done.endswith("db upgrade")]


def entries(shop):
    """Return the history's entries."""
    return [json.loads(text) for text in shop.server().history_file.read_text(encoding="utf-8").splitlines()]


def test_none(shop):
    """Where none is pending none is applied, and the history does not speak of any."""
    shop.deploy(shop.fetched("second"))
    assert upgrades(shop) == []
    assert len(entries(shop)) == 2


def test_image(shop):
    """Migrations are the new release's own, whatever colour or tag there is."""
    image = shop.fetched("second", pending=json.dumps([EXPAND]))
    shop.deploy(image)
    assert all(f"MIGRATE_IMAGE={image.name}" in done for done in upgrades(shop))
    assert len(upgrades(shop)) == 1
    assert f"{image.name} shop:migrate" in " ".join(shop.docker.done)


def test_refused(shop, capsys):
    """A contract step that nobody allowed is not applied; it is named, and so is the flag."""
    with pytest.raises(OpsError, match="stopped at “migrate”"):
        shop.deploy(shop.fetched("second", pending=json.dumps([EXPAND, CONTRACT])))
    said = capsys.readouterr().out
    assert upgrades(shop) == []
    assert "0008 (drop the old price)" in said
    assert "--allow-contract" in said


def test_allowed(shop):
    """A contract step that is allowed is applied."""
    shop.deploy(shop.fetched("second", pending=json.dumps([CONTRACT])), allow_contract=True)
    assert len(upgrades(shop)) == 1


@pytest.mark.parametrize(("steps", "contract"), [([EXPAND], []), ([EXPAND, CONTRACT], ["0008"])])
def test_written_down_first(shop, steps, contract):
    """What is about to be applied is in the history before it is: though it fails, a rollback knows of it."""
    shop.docker.fail = failing("db upgrade")
    with pytest.raises(OpsError):
        shop.deploy(shop.fetched("second", pending=json.dumps(steps)), allow_contract=True)
    begun = entries(shop)[1]
    assert (begun["result"], begun["contract"]) == ("begun", contract)
    assert begun["migrations"] == [step["revision"] for step in steps]


def test_old_code_serves(shop):
    """No container of the new release is started before its migrations have run."""
    shop.deploy(shop.fetched("second", pending=json.dumps([EXPAND])))
    started = next(index for index, done in enumerate(shop.docker.done) if done.endswith("web-blue"))
    assert shop.docker.done.index(upgrades(shop)[0]) < started


def test_no_answer(shop, capsys):
    """An image that prints something else instead of its migrations is a failed deploy like any other."""
    with pytest.raises(OpsError, match="stopped at “migrate”"):
        shop.deploy(shop.fetched("second", pending="Deprecated: …\n[]"))
    assert (shop.users_meet, shop.journal) == ("first", None)
    assert "printed no list: Deprecated" in capsys.readouterr().out
