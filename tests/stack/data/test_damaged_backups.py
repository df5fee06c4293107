"""A backup that is not whole is refused with a clear message, and the live database is left alone."""

import contextlib

import pytest

from tests.stack.data.test_restore import volume
from tests.support.helpers import wait_for
from tests.support.stack.writer import Writer

pytestmark = pytest.mark.timeout(180)
KEEP = 'rm -rf /backups/.kept && cp -a "$0" /backups/.kept && '
BACK = 'rm -rf "$0" && mv /backups/.kept "$0"'
TRUNCATE = 'truncate --size=-100 "$0"'
FLIP = 'printf garbage | dd of="$0" bs=1 seek=$(($(stat --format %s "$0") / 2)) conv=notrunc status=none'
EARLY = 'printf garbage | dd of="$0" bs=1 seek=120 conv=notrunc status=none'
REMOVE = 'rm -r "$0"'

CASES = {  # the newest backup of which kind, what of it, what happens to it, and what is said
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


def shell(server, script, *words):
    """Run a script beside the backups, and return what it prints."""
    return server.compose("exec", "-T", "backup", "bash", "-euc", script, *words).stdout.strip()


@pytest.fixture(scope="module")
def names(data):
    """Give where the newest backups lie: a dump, an incremental backup, what it rests on, and WAL after it."""
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
    data.compose("stop", "wal-receiver")  # it would go on writing into what was moved away
    segments = shell(data, "ls -d $0/wal/*", lineage).splitlines()
    yield {"dump": dump, "base": base, "full": full, "segment": segments[-3], "partial": segments[-1]}
    data.compose("start", "wal-receiver")
    wait_for(lambda: not data.backup_faults(), seconds=30)


@contextlib.contextmanager
def damaged(server, path, how):
    """Damage a file or folder of a backup, and mend it again."""
    shell(server, KEEP + how, path)
    try:
        yield
    finally:
        shell(server, BACK, path)


@pytest.mark.parametrize("name", CASES)
def test_it_is_noticed(data, names, name):
    """The first step of a restore reads all that it would need, and says what is wrong with it."""
    kind, path, how, says = CASES[name]
    what = names[kind].removeprefix("/backups/")
    words = ("exec", "-T", "backup", "bash", "/opt/backup/restore.sh", "verify", what, "latest")
    assert data.compose(*words).returncode == 0
    with damaged(data, path.format(**names), how):
        done = data.compose(*words, check=False)
    assert (done.returncode, says in done.stderr) == (1, True), done.stdout + done.stderr


@pytest.mark.parametrize("name", ["a truncated dump", "a corrupted segment"])
def test_the_live_database_is_left_alone(data, names, name):
    """A restore says so and ends; nothing was replaced, nothing is left behind, and users go on being served."""
    kind, path, how, says = CASES[name]
    before, volumes = volume(data), data.volumes()
    words = ("--backup", names["dump"].rpartition("/")[2]) if kind == "dump" else ()
    with damaged(data, path.format(**names), how):
        done = data.ops("restore", "--yes", *words, check=False)
    assert (done.returncode, says in done.stdout, "Restored:" in done.stdout) == (1, True, False), done.stdout
    assert (volume(data), data.volumes()) == (before, volumes)
    assert data.ask("/health/ready").status == 200
