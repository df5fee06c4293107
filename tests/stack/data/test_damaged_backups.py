"""A damaged or incomplete backup is refused with a clear message; the live database is untouched."""

import contextlib

import pytest

from tests.stack.data.test_restore import volume
from tests.support.helpers import wait_for
from tests.support.stack.writer import Writer

pytestmark = pytest.mark.timeout(180)
SAVE = 'rm -rf /backups/.saved && cp -a "$0" /backups/.saved && '
RESTORE = 'rm -rf "$0" && mv /backups/.saved "$0"'
TRUNCATE = 'truncate --size=-100 "$0"'
FLIP = 'printf garbage | dd of="$0" bs=1 seek=$(($(stat --format %s "$0") / 2)) conv=notrunc status=none'
EARLY = 'printf garbage | dd of="$0" bs=1 seek=120 conv=notrunc status=none'
REMOVE = 'rm -r "$0"'

CASES = {  # the kind of backup, the file, the damage, and the message
    "a truncated dump": ("dump", "{dump}/app.dump", TRUNCATE, "is damaged"),
    "a corrupted dump": ("dump", "{dump}/app.dump", FLIP, "is damaged"),
    "a missing dump": ("dump", "{dump}/app.dump", REMOVE, "is damaged"),
    "a corrupted file": ("base", "{full}/data/base/1/1259", FLIP, "is damaged"),
    "a truncated file": ("base", "{full}/data/base/1/1259", TRUNCATE, "is damaged"),
    "a missing file": ("base", "{base}/data/global/pg_control", REMOVE, "is damaged"),
    "a corrupted manifest": ("base", "{base}/data/backup_manifest", FLIP, "is damaged"),
    "a missing full backup": ("base", "{full}", REMOVE, "which is missing"),
    "a missing segment": ("base", "{segment}", REMOVE, "lacks segment"),
    "a corrupted segment": ("base", "{segment}", EARLY, "is damaged"),
    "a truncated segment": ("base", "{segment}", TRUNCATE, "is damaged"),
    "a corrupted end": ("base", "{partial}", EARLY, "is damaged"),
}


def shell(server, script, *arguments):
    """Run a script in the backup container; return its output."""
    return server.compose("exec", "-T", "backup", "bash", "-euc", script, *arguments).stdout.strip()


@pytest.fixture(scope="module")
def paths(data):
    """Yield the paths of the newest dump, incremental backup, its full backup and the WAL after it."""
    data.ops("backup")
    data.ops("backup")
    writer = Writer(data, data.token())
    for _ in range(3):  # segments
        assert writer.write()
        data.sql("SELECT pg_switch_wal()")
    assert [writer.write() for _ in range(20)].count(None) == 0
    script = "ls -d /backups/dumps/2* | tail -n 1; ls -d /backups/*-*/base/2* | tail -n 1; "
    dump, base = shell(data, script).splitlines()
    lineage = base.partition("/base/")[0]
    full = shell(data, "ls -d $0/base/2*-full | tail -n 1", lineage)
    data.compose("stop", "wal-receiver")  # it would write to the moved folder
    segments = shell(data, "ls -d $0/wal/*", lineage).splitlines()
    yield {"dump": dump, "base": base, "full": full, "segment": segments[-3], "partial": segments[-1]}
    data.compose("start", "wal-receiver")
    wait_for(lambda: not data.backup_errors(), seconds=30)


@contextlib.contextmanager
def damaged(server, path, how):
    """Damage a file or folder of a backup for the duration of the block."""
    shell(server, SAVE + how, path)
    try:
        yield
    finally:
        shell(server, RESTORE, path)


@pytest.mark.guarantee("A damaged, truncated or missing backup is refused, and the live database stays untouched")
@pytest.mark.parametrize("name", CASES)
def test_verify(data, paths, name):
    """The first step of a restore reads everything it needs, and names the damage."""
    kind, path, how, message = CASES[name]
    what = paths[kind].removeprefix("/backups/")
    argv = ("exec", "-T", "backup", "bash", "/opt/backup/restore.sh", "verify", what, "latest")
    assert data.compose(*argv).returncode == 0
    with damaged(data, path.format(**paths), how):
        done = data.compose(*argv, check=False)
    assert (done.returncode, message in done.stderr) == (1, True), done.stdout + done.stderr


@pytest.mark.guarantee("A damaged, truncated or missing backup is refused, and the live database stays untouched")
@pytest.mark.parametrize("name", ["a truncated dump", "a corrupted segment"])
def test_live_database_is_untouched(data, paths, name):
    """The restore fails, replaces nothing, leaves nothing behind, and users are served."""
    kind, path, how, message = CASES[name]
    before, volumes = volume(data), data.volumes()
    argv = ("--backup", paths["dump"].rpartition("/")[2]) if kind == "dump" else ()
    with damaged(data, path.format(**paths), how):
        done = data.ops("restore", "--yes", *argv, check=False)
    assert (done.returncode, message in done.stdout, "Restored:" in done.stdout) == (1, True, False), done.stdout
    assert (volume(data), data.volumes()) == (before, volumes)
    assert data.request("/health/ready").status == 200
