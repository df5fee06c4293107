"""Readiness, pending migrations and upgrades when schema and release have diverged."""

import contextlib
import json
import re
import shutil

import pytest

from tests.integration.conftest import fresh_database, names
from tests.support.integration.migration_folder import Release, extended

OURS = 'op.create_table("ours", sa.Column("text", sa.Text))'
THEIRS = 'op.create_table("theirs", sa.Column("text", sa.Text))'


@pytest.fixture(params=["sqlite", "postgres"])
def url(request, folder):
    """A migrated database for this test."""
    if request.param == "postgres":
        return fresh_database(request.getfixturevalue("postgres"))
    path = folder / f"diverged_{next(names)}.db"
    shutil.copyfile(request.getfixturevalue("sqlite_template"), path)
    return f"sqlite:///{path}"


@pytest.fixture
def deploy(url, tmp_path):
    """Return a function that creates a release with migrations NAME1, NAME2 and so on, and upgrades with it."""
    with contextlib.ExitStack() as stack:

        def make(name, *bodies, contract=False):
            folder = extended(tmp_path / name, *bodies, contract=contract, name=name)
            release = stack.enter_context(contextlib.closing(Release(url, folder)))
            return release, release.db("upgrade")

        yield make


def insert(folder, module, before):
    """Insert a migration into a folder, before another one."""
    shutil.copy(module, folder / "versions")
    later = folder / f"versions/{before}.py"
    later.write_text(re.sub("down_revision = .*", f"down_revision = {module.stem!r}", later.read_text()))


def error_line(result):
    """Return the last line of a failed command, without a traceback."""
    assert (result.exit_code, result.stdout) == (1, ""), result.output
    return result.stderr.strip().splitlines()[-1]


def test_diverged(deploy):
    """A release that lacks an applied migration and has an unapplied one is not ready and changes nothing."""
    assert deploy("theirs", THEIRS)[1].exit_code == 0
    ours, upgraded = deploy("ours", OURS)
    for message in (error_line(upgraded), error_line(ours.flask("schema", "pending"))):
        assert "theirs1 applied, which this release does not know, and ours1 not applied" in message
        assert "a release that puts ours1 after theirs1 (down_revision)" in message
    assert ours.migrations() == (503, "unavailable")
    assert ours.execute("SELECT version_num FROM alembic_version") == [("theirs1",)]


def test_merged_history(deploy):
    """After adding the applied migration before its own, as the message says, the release can upgrade."""
    theirs, _ = deploy("theirs", THEIRS)
    ours, _ = deploy("ours", OURS)
    insert(ours.folder, theirs.folder / "versions/theirs1.py", before="ours1")
    assert [step["revision"] for step in json.loads(ours.flask("schema", "pending").stdout)] == ["ours1"]
    assert ours.db("upgrade").exit_code == 0
    assert ours.migrations() == (200, "current")


def test_past_a_contract_step(deploy):
    """A release older than an applied contract step is rejected; the message names the step."""
    assert deploy("theirs", THEIRS, contract=True)[1].exit_code == 0
    ours, upgraded = deploy("ours")
    for message in (error_line(upgraded), error_line(ours.flask("schema", "pending"))):
        assert "past this release" in message
        assert "theirs1" in message


def test_serving_past_a_contract_step(deploy):
    """The release that serves while a contract step is applied stays ready."""
    ours, _ = deploy("ours")
    assert deploy("theirs", THEIRS, contract=True)[1].exit_code == 0
    assert ours.migrations() == (200, "ahead")


def test_ahead(deploy):
    """A release older than applied expand steps is ready and has nothing to apply."""
    assert deploy("theirs", THEIRS)[1].exit_code == 0
    ours, upgraded = deploy("ours")
    assert (upgraded.exit_code, "which does not know theirs1: nothing to do" in upgraded.stderr) == (0, True)
    assert ours.flask("schema", "pending").stdout == "[]\n"
    assert ours.migrations() == (200, "ahead")


def test_migration_inserted_before_an_applied_one(deploy, tmp_path):
    """A migration inserted before an applied one would never run, so that release is rejected."""
    ours, upgraded = deploy("ours", OURS)
    assert upgraded.exit_code == 0
    insert(ours.folder, extended(tmp_path / "late", THEIRS, name="late") / "versions/late1.py", before="ours1")
    for message in (error_line(ours.db("upgrade")), error_line(ours.flask("schema", "pending"))):
        assert "ours1 applied, which this release orders later, and late1 not applied" in message
    assert ours.migrations() == (503, "unavailable")


def test_unknown_migration_without_the_table(deploy):
    """A database without the table and with an unknown migration has diverged."""
    ours, _ = deploy("ours")
    assert ours.db("downgrade", "c7b90d51a3f8").exit_code == 0
    ours.execute("UPDATE alembic_version SET version_num = 'ffffffffffff'")
    for message in (error_line(ours.db("upgrade")), error_line(ours.flask("schema", "pending"))):
        assert "ffffffffffff applied, which this release does not know" in message
    assert ours.migrations() == (503, "unavailable")
