"""Upgrade to the next major version of Postgres: reads continue, and no acknowledged write is lost."""

import re
import threading

import pytest

from tests.stack.data.test_restore import volume
from tests.support.helpers import ROOT
from tests.support.stack.compose import docker
from tests.support.stack.writer import Writer, lost

pytestmark = pytest.mark.timeout(300)
OLD = "postgres:17"


@pytest.fixture(scope="module")
def site(new_server, one):
    """Return a server with a live release on the previous version."""
    if docker("image", "inspect", OLD, check=False).returncode:
        docker("build", "--quiet", f"--tag={OLD}", str(ROOT / "tests/support/stack/old_postgres"), timeout=300)
    server = new_server(POSTGRES_MAJOR=17)
    server.ops("deploy", one)
    return server


def read(server, over, failures):
    """Read without a cache until it is over; record failures."""
    while not over.is_set():
        response = server.request("/api/products?limit=1", headers={"Cookie": "a=b"})
        if response.status != 200:
            failures.append(response.status)
        over.wait(0.1)


def version(server):
    """Return the live database's major version."""
    return int(server.sql("SHOW server_version_num")[0]) // 10000


@pytest.mark.guarantee("An upgrade of Postgres to the next major version keeps every acknowledged write")
def test_upgrade(site, figure):
    """The newer version serves every acknowledged write, and the old volume is kept."""
    before, over, failures = volume(site), threading.Event(), []
    reader = threading.Thread(target=read, args=(site, over, failures))
    with Writer(site, site.token()) as writer:
        reader.start()
        writer.more()
        done = site.ops("upgrade", "18", "--yes")
        writer.more()
    over.set()
    reader.join(30)
    took = re.findall(r"^  (read-only|dump|unpack|cut over) done in ([\d.]+) s", done.stdout, re.MULTILINE)
    seen = f"{len(writer.acknowledged)} acknowledged, {len(writer.refused)} refused, {len(failures)} reads failed"
    figure(f"{seen}; {', '.join(' '.join(each) for each in took)} s")
    assert version(site) == 18
    assert lost(site, writer) == []
    assert docker("volume", "inspect", before).returncode == 0
    assert len(failures) * 0.1 < 20  # during the restart


def test_upgraded_database_is_backed_up(site):
    """Backups of the new version restore."""
    assert "match the live database" in site.ops("drill").stdout


def test_other_version_does_not_start(site):
    """A container of another version refuses to start on a volume with a database, with a remedy."""
    argv = ("run", "--rm", "--no-deps", "-T", "--env", "PGDATA=/var/lib/postgresql/99/docker", "db")
    done = site.compose(*argv, check=False)
    assert (done.returncode, "python3 -m ops upgrade" in done.stderr) == (1, True), done.stderr


def test_not_newer(site):
    """A version that is not newer is refused."""
    done = site.ops("upgrade", "18", "--yes", check=False)
    assert (done.returncode, "Use a newer major version" in done.stdout) == (2, True)
