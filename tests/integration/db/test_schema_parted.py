"""A schema and a release that do not come of each other: what is asked, applied and called ready then."""

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
    """A migrated database of this test's own."""
    if request.param == "postgres":
        return fresh_database(request.getfixturevalue("postgres"))
    path = folder / f"parted_{next(names)}.db"
    shutil.copyfile(request.getfixturevalue("sqlite_template"), path)
    return f"sqlite:///{path}"


@pytest.fixture
def deploy(url, tmp_path):
    """Make a release with further migrations, called NAME1, NAME2 and so on, and return what its upgrade came to."""
    with contextlib.ExitStack() as stack:

        def make(name, *bodies, contract=False):
            folder = extended(tmp_path / name, *bodies, contract=contract, name=name)
            made = stack.enter_context(contextlib.closing(Release(url, folder)))
            return made, made.db("upgrade")

        yield make


def put(folder, module, before):
    """Put a migration into a folder, right before another one."""
    shutil.copy(module, folder / "versions")
    later = folder / f"versions/{before}.py"
    later.write_text(re.sub("down_revision = .*", f"down_revision = {module.stem!r}", later.read_text()))


def refusal(result):
    """Return the last line of a command that failed, without a traceback."""
    assert (result.exit_code, result.stdout) == (1, ""), result.output
    return result.stderr.strip().splitlines()[-1]


def test_diverged(deploy):
    """A release without a migration that was applied, and with one that was not, is not ready and changes nothing."""
    assert deploy("theirs", THEIRS)[1].exit_code == 0
    ours, upgraded = deploy("ours", OURS)
    for said in (refusal(upgraded), refusal(ours.flask("schema", "pending"))):
        assert "theirs1 applied, which this release does not know, and ours1 not applied" in said
        assert "a release that puts ours1 after theirs1 (down_revision)" in said
    assert ours.migrations() == (503, "unavailable")
    assert ours.execute("SELECT version_num FROM alembic_version") == [("theirs1",)]


def test_brought_together_again(deploy):
    """With the applied migration back, and its own behind that one, as it was told, the release is level."""
    theirs, _ = deploy("theirs", THEIRS)
    ours, _ = deploy("ours", OURS)
    put(ours.folder, theirs.folder / "versions/theirs1.py", before="ours1")
    assert [step["revision"] for step in json.loads(ours.flask("schema", "pending").stdout)] == ["ours1"]
    assert ours.db("upgrade").exit_code == 0
    assert ours.migrations() == (200, "current")


def test_past_a_contract_step(deploy):
    """A release before a contract step that was applied is not brought in, and the step is named."""
    assert deploy("theirs", THEIRS, contract=True)[1].exit_code == 0
    ours, upgraded = deploy("ours")
    for said in (refusal(upgraded), refusal(ours.flask("schema", "pending"))):
        assert "past this release" in said
        assert "theirs1" in said


def test_serving_past_a_contract_step(deploy):
    """The release that serves while a contract step is applied stays ready: whoever allowed the step has judged it."""
    ours, _ = deploy("ours")
    assert deploy("theirs", THEIRS, contract=True)[1].exit_code == 0
    assert ours.migrations() == (200, "ahead")


def test_ahead(deploy):
    """A release before steps that only expand is ready; it has nothing to apply and says so."""
    assert deploy("theirs", THEIRS)[1].exit_code == 0
    ours, upgraded = deploy("ours")
    assert (upgraded.exit_code, "which does not know theirs1: nothing to do" in upgraded.stderr) == (0, True)
    assert ours.flask("schema", "pending").stdout == "[]\n"
    assert ours.migrations() == (200, "ahead")


def test_a_step_put_before_an_applied_one(deploy, tmp_path):
    """A migration that was put before an applied one would never run, so the release with it is refused."""
    ours, upgraded = deploy("ours", OURS)
    assert upgraded.exit_code == 0
    put(ours.folder, extended(tmp_path / "late", THEIRS, name="late") / "versions/late1.py", before="ours1")
    for said in (refusal(ours.db("upgrade")), refusal(ours.flask("schema", "pending"))):
        assert "ours1 applied, which this release orders later, and late1 not applied" in said
    assert ours.migrations() == (503, "unavailable")


def test_a_migration_of_theirs_without_the_table(deploy):
    """A database from before the table, with a migration that is not ours, has diverged too: it lacks the table."""
    ours, _ = deploy("ours")
    assert ours.db("downgrade", "c7b90d51a3f8").exit_code == 0
    ours.execute("UPDATE alembic_version SET version_num = 'ffffffffffff'")
    for said in (refusal(ours.db("upgrade")), refusal(ours.flask("schema", "pending"))):
        assert "ffffffffffff applied, which this release does not know" in said
    assert ours.migrations() == (503, "unavailable")
