"""Backup jobs: scheduling, pruning, and reports of every failure."""

import secrets

import pytest

from tests.support.helpers import wait_for
from tests.support.stack.compose import docker
from tests.support.stack.writer import Writer, lost

pytestmark = pytest.mark.timeout(240)


def shell(server, script, *arguments):
    """Run a script in the backup container; return its output."""
    return server.compose("exec", "-T", "backup", "bash", "-euc", script, *arguments).stdout.strip()


def jobs(server):
    """Return the status of each backup job."""
    return server.status()["backups"]


def names(server):
    """Return the names of all backups."""
    return [each["name"] for each in server.backups()]


def dumps(server):
    """Return the names of all dumps."""
    return [name for name in names(server) if name.endswith("-dump")]


@pytest.fixture
def small_disk(data):
    """Put the backups on a 400 MiB disk; yield a function that runs a script on it."""
    name = f"small-{secrets.token_hex(4)}"
    options = ("type=tmpfs", "device=tmpfs", "o=size=400m,uid=999,gid=999,mode=0700")
    docker("volume", "create", *[f"--opt={option}" for option in options], name)
    argv = ("--volume", f"{name}:/disk", "--user=999:999", "--entrypoint=sleep", "postgres:18", "infinity")
    docker("run", "--detach", f"--name={name}", *argv)  # keeps it mounted
    settings = data.folder / ".env"
    before = settings.read_text()
    path = docker("volume", "inspect", "--format={{.Mountpoint}}", name).stdout.strip()
    settings.write_text(f"{before}BACKUP_FOLDER={path}\nBACKUP_FREE=64\n")
    data.compose("up", "--detach", "--no-deps", "wal-receiver", "backup", "restore-drill")
    yield lambda script: docker("exec", name, "bash", "-euc", script)
    settings.write_text(before)
    data.compose("up", "--detach", "--no-deps", "wal-receiver", "backup", "restore-drill")
    docker("rm", "--force", name)
    docker("volume", "rm", name)
    data.ops("backup")
    wait_for(lambda: not data.backup_errors(), seconds=60)


@pytest.mark.guarantee("Failing backups are reported; a full backup disk stops the backups and no write")
def test_full_disk_stops_only_backups(data, small_disk):
    """A full backup disk is reported and stops backups, but no write; they catch up once it has space."""
    wait_for(lambda: not data.backup_errors() and len(names(data)) == 2, seconds=60)
    small_disk("dd if=/dev/zero of=/disk/filler bs=1M count=400 status=none || true")
    with Writer(data, data.token()) as writer:
        wait_for(lambda: "must stay free" in jobs(data)["wal"].get("error", ""), seconds=60)
        done = data.ops("backup", check=False)
        assert (done.returncode, "must stay free" in done.stdout) == (1, True), done.stdout
        assert "must stay free" in jobs(data)["dump"]["error"]
        assert "FAILING since" in data.ops("status").stdout
        assert not data.is_healthy("backup")
        writer.more()
        assert writer.refused == []
        small_disk("rm /disk/filler")
        wait_for(lambda: "error" not in jobs(data)["wal"], seconds=60)
    assert lost(data, writer) == []
    data.ops("drill")
    assert len(names(data)) == 2  # no incomplete backup


@pytest.mark.guarantee("Failing backups are reported; a full backup disk stops the backups and no write")
def test_drill_detects_a_wrong_backup(data):
    """The drill fails if a backup does not match, and the status reports it until a drill succeeds."""
    data.ops("backup")
    script = 'file=$(ls -d /backups/dumps/2* | tail -n 1)/fingerprint; sed -i "$0" "$file"; cd "${file%/*}"'
    shell(
        data, f"{script}; sha256sum app.dump roles.sql fingerprint >SHA256SUMS", "s/^rows of public.products|[0-9]*/&9/"
    )
    done = data.ops("drill", check=False)
    assert (done.returncode, "The restored database differs" in done.stdout) == (1, True), done.stdout
    assert "The restored database differs" in jobs(data)["drill"]["error"]
    data.ops("backup")
    done = data.ops("drill")
    assert "match the live database" in done.stdout
    assert "error" not in jobs(data)["drill"]


def test_new_database_does_not_replace_the_backups(data):
    """A database that is not the one backed up, as after a lost disk, is not backed up, and that is reported."""
    before = names(data)
    script = 'for each in /backups/[0-9]*-[0-9]*; do mv "$each" "/backups/1${each#/backups/}"; done'
    shell(data, script)
    try:
        wait_for(lambda: "python3 -m ops restore" in jobs(data)["base"].get("error", ""), seconds=60)
        assert len(names(data)) == len(before)
    finally:
        shell(data, 'for each in /backups/1[0-9]*-[0-9]*; do mv "$each" "/backups/${each#/backups/1}"; done')
    data.ops("backup")


def test_pruning(data):
    """Old backups are removed, except the full backup that restores the first second of BACKUP_DAYS."""
    while len(dumps(data)) < 3:
        data.ops("backup")
    old, metadata = names(data), "/backups/dumps/2*/metadata /backups/*-*/base/2*/metadata"
    shell(data, f"sed -i.before -E 's/^(started|ended)=.*/\\1=1000000/' {metadata}")
    try:
        data.ops("backup")
        assert len(dumps(data)) == 3
        assert any(name in old and name.endswith("-full") for name in names(data))
        data.ops("drill")
        lines = shell(data, "ls /backups/*-*/wal").splitlines()
        assert lines
    finally:  # other tests use the times
        shell(data, f'for each in {metadata}; do [[ ! -e $each.before ]] || mv "$each.before" "$each"; done')


def test_metrics(data):
    """Inside the containers' network there are metrics for each job."""
    colour = data.status()["active_colour"]
    script = "import urllib.request as u; print(u.urlopen('http://nginx:8004/metrics/backups').read().decode())"
    text = data.compose("exec", "-T", f"web-{colour}", "python", "-c", script).stdout
    for job in ("wal", "base", "dump", "drill"):
        assert f'backup_last_success_timestamp_seconds{{job="{job}"}} 1' in text
    assert 'backup_wal_lag_bytes{job="wal"} 0' in text
