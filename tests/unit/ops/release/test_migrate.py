"""Migrations in a deploy: they run before the new code, and contract steps need permission."""

import json

import pytest

from ops.errors import OpsError
from tests.support.ops.faults import failing

EXPAND = {"revision": "0007", "contract": False, "title": "add a price"}
CONTRACT = {"revision": "0008", "contract": True, "title": "drop the old price"}


def upgrades(shop):
    """Return the commands that applied migrations."""
    return [done for done in shop.docker.executed if done.endswith("db upgrade")]


def entries(shop):
    """Return the entries of the history."""
    return [json.loads(text) for text in shop.server().history_file.read_text(encoding="utf-8").splitlines()]


def test_none_pending(shop):
    """Without pending migrations, nothing is applied or recorded."""
    shop.deploy(shop.fetched("second"))
    assert upgrades(shop) == []
    assert len(entries(shop)) == 2


def test_image(shop):
    """Migrations run in the new release's image, whatever the tags."""
    image = shop.fetched("second", pending=json.dumps([EXPAND]))
    shop.deploy(image)
    assert all(f"MIGRATE_IMAGE={image.name}" in done for done in upgrades(shop))
    assert len(upgrades(shop)) == 1
    assert f"{image.name} shop:migrate" in " ".join(shop.docker.executed)


def test_contract_refused(shop, capsys):
    """A contract step without permission is not applied; the message names it and the option."""
    with pytest.raises(OpsError, match="stopped at “migrate”"):
        shop.deploy(shop.fetched("second", pending=json.dumps([EXPAND, CONTRACT])))
    output = capsys.readouterr().out
    assert upgrades(shop) == []
    assert "0008 (drop the old price)" in output
    assert "--allow-contract" in output


def test_contract_allowed(shop):
    """A contract step with permission is applied."""
    shop.deploy(shop.fetched("second", pending=json.dumps([CONTRACT])), allow_contract=True)
    assert len(upgrades(shop)) == 1


@pytest.mark.parametrize(("steps", "contract"), [([EXPAND], []), ([EXPAND, CONTRACT], ["0008"])])
def test_recorded_first(shop, steps, contract):
    """The history names a migration before it is applied, so that a rollback knows of a failed one."""
    shop.docker.fail = failing("db upgrade")
    with pytest.raises(OpsError):
        shop.deploy(shop.fetched("second", pending=json.dumps(steps)), allow_contract=True)
    begun = entries(shop)[1]
    assert (begun["result"], begun["contract"]) == ("begun", contract)
    assert begun["migrations"] == [step["revision"] for step in steps]


def test_before_the_new_code(shop):
    """No container of the new release starts before its migrations have run."""
    shop.deploy(shop.fetched("second", pending=json.dumps([EXPAND])))
    started = next(index for index, done in enumerate(shop.docker.executed) if done.endswith("web-blue"))
    assert shop.docker.executed.index(upgrades(shop)[0]) < started


def test_invalid_output(shop, capsys):
    """Invalid output of the release fails the deploy."""
    with pytest.raises(OpsError, match="stopped at “migrate”"):
        shop.deploy(shop.fetched("second", pending="Deprecated: …\n[]"))
    assert (shop.active_release, shop.journal) == ("first", None)
    assert "printed no list: Deprecated" in capsys.readouterr().out
