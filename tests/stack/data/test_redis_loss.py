"""Data loss and failed requests when a production Redis is killed, full or frozen."""

import json
import time

import pytest

from tests.support.helpers import wait_for
from tests.support.stack.compose import docker
from tests.support.stack.load import Load
from tests.support.stack.server import HOST

SLOWEST_S = 1.0  # seconds
FREEZE_S = 10.0  # seconds
MAX_MEMORY = 0.9  # of the container's limit
SESSION = 425  # bytes that one session takes in Redis, 300 of them its value

# Writes sessions in a loop and prints the number of each that Redis acknowledged.
DELAYED_WRITE_S = 2  # of `appendfsync everysec`
WRITER = """
import itertools, pathlib, redis, time
password = pathlib.Path("/run/secrets/sessions").read_text().strip()
never = redis.retry.Retry(redis.backoff.NoBackoff(), 0)
client = redis.Redis("redis-sessions", username="sessions", password=password, socket_timeout=2, retry=never)
for number in itertools.count():
    client.set(f"session:{number:012}", number)
    print(number, time.monotonic(), flush=True)
"""
# In a container: writes $1 sessions from number $2 on; prints the number refused.
SESSIONS = """
awk -v number="$1" -v first="$2" 'BEGIN {
  for (i = first; i < first + number; i++) {
    printf "*3\\r\\n$3\\r\\nSET\\r\\n$20\\r\\nsession:%012d\\r\\n$300\\r\\n%0300d\\r\\n", i, i
  }
}' | redis-cli --user sessions --pipe | sed -n "s/^errors: \\([0-9]*\\), replies.*/\\1/p"
"""
# Changes the sizes of the first $1 sessions until Redis has rewritten the file; prints the peak memory and the part
# that was copied on write.
REWRITE = """
persistence() { redis-cli --user sessions INFO persistence | sed -n "s/^$1:\\([0-9]*\\).*/\\1/p"; }
for size in 260 300; do
  write -n 100000000 -r "$1" SET session:__rand_int__ "$(printf "%0*d" "$size" 0)" &
done
until=$(($(persistence aof_rewrites) + 1)) most=0
while (($(persistence aof_rewrites) < until)); do
  for _ in {1..20}; do
    now=$(taken)
    ((now <= most)) || most=$now
  done
done
kill $(jobs -p)
echo "$most" "$(persistence aof_last_cow_size)"
"""
# Writes $2 entries of $1 bytes; prints the memory in use.
ENTRIES = """
(write -n "$2" -r 100000000 SET cache:__rand_int__ "$(printf "%0*d" "$1" 0)")
taken
"""
SIZES = ((200, 400_000), (3000, 80_000), (50, 400_000), (20_000, 12_000), (700, 250_000))  # each fills it
# `taken`: the container's memory without the page cache, for cgroups 1 and 2. `write`: a bulk writer.
HELP = """
taken() {
  local name value file
  for file in /sys/fs/cgroup/memory.stat /sys/fs/cgroup/memory/memory.stat; do
    [[ ! -r $file ]] || while read -r name value; do
      [[ $name != anon && $name != total_rss ]] || echo "$value"
    done <"$file"
  done
}
export REDISCLI_AUTH=$(cat "/run/secrets/$REDIS_ROLE")
write() { exec redis-benchmark --user "$REDIS_ROLE" -a "$REDISCLI_AUTH" -P 16 "$@" &>/dev/null; }
"""
DAMAGE = {
    "half a command": "truncate --size=-5 $log",
    "zeros": "head --bytes=4096 /dev/zero >>$log",
    "noise": "head --bytes=4096 /dev/urandom >>$log",
}


class Redis:
    """One of a server's two Redis services."""

    def __init__(self, server, role):
        self.server, self.role, self.service = server, role, f"redis-{role}"

    def bash(self, script, *arguments):
        """Run a script in the container; return its output."""
        argv = ("exec", "-T", self.service, "bash", "-c", HELP + script, "-", *map(str, arguments))
        return self.server.compose(*argv, timeout=180).stdout.strip()

    def command(self, *argv):
        """Send a command as the application's user; return the reply."""
        return self.bash(f'redis-cli --user {self.role} "$@" 2>&1', *argv)

    def info(self):
        """Return the output of INFO."""
        return dict(line.split(":", 1) for line in self.command("INFO").splitlines() if ":" in line)

    def container(self):
        """Return the output of `docker inspect`."""
        return json.loads(docker("inspect", self.server.compose("ps", "-aq", self.service).stdout.strip()).stdout)[0]

    def up(self):
        """Start the service and wait until it is healthy."""
        self.server.compose("up", "--detach", "--wait", "--wait-timeout", "60", "--no-deps", self.service)

    def kill(self):
        """Kill the process and wait until Docker has restarted it."""
        state = self.container()["State"]
        # From outside: inside its container it is process 1, which ignores signals.
        argv = ("bash", "-c", f"kill -KILL {state['Pid']}")
        docker("run", "--rm", "--pid=host", "--network=none", "--user=999:999", "redis:8", *argv)
        wait_for(lambda: self.container()["State"]["StartedAt"] != state["StartedAt"], seconds=30)
        wait_for(lambda: self.command("PING") == "PONG", seconds=30)

    def recreate(self):
        """Kill the service, remove its container and start another one."""
        self.server.compose("kill", self.service)
        self.server.compose("rm", "--force", self.service)
        self.up()


@pytest.fixture(scope="module")
def site(data):
    """Return a server whose Redis may be filled."""
    return data


@pytest.fixture(scope="module")
def cache(site):
    """Return the Redis of the cache."""
    return Redis(site, "cache")


@pytest.fixture(scope="module")
def sessions(site):
    """Return the Redis of sessions."""
    return Redis(site, "sessions")


@pytest.fixture
def emptied(sessions):
    """Yield the Redis of sessions, empty before and after."""
    empty(sessions)
    yield sessions
    empty(sessions)


def empty(sessions):
    """Recreate the volume."""
    sessions.server.compose("rm", "--stop", "--force", sessions.service)
    docker("volume", "rm", f"{sessions.server.name}_sessions")
    sessions.up()


@pytest.fixture(scope="module")
def token(site):
    """Return a token that may change products."""
    return site.token()


@pytest.fixture
def load(site, token):
    """Yield a light load of writes and of reads that bypass nginx's cache."""
    with Load(site.https, HOST, token, keep_alive=2, fresh=1, rate=10) as load:
        wait_for(lambda: load.report.total > 20)
        yield load


@pytest.mark.parametrize("how", [Redis.kill, Redis.recreate])
def test_lost_cache(site, cache, load, figure, how):
    """A killed or recreated cache starts empty; no request fails, and it is used again."""
    assert cache.command("SET", "cache:mine", "1") == "OK"
    how(cache)
    assert cache.command("MGET", "cache:mine") == ""
    before = load.report.total
    wait_for(lambda: load.report.total > before + 60)
    load.__exit__()
    figure(f"redis-cache, {how.__name__}: {load.report}")
    assert load.report.failures == []
    assert load.report.slowest < SLOWEST_S
    assert {("GET", 200), ("POST", 201)} == set(load.report.responses)
    wait_for(lambda: outcome(site, load.token).startswith("app; hit"))


def outcome(site, token):
    """Return the Cache-Status of a request that bypasses nginx's cache."""
    return site.request("/api/products?limit=5", token=token).headers["Cache-Status"]


def test_cache_is_in_memory_only(cache):
    """The cache has no volume and an empty tmpfs."""
    assert cache.command("SET", "cache:mine", "1") == "OK"
    shown = cache.bash("ls -A /data; stat --file-system --format %T /data")
    assert shown == "tmpfs"
    assert [mount["Destination"] for mount in cache.container()["Mounts"] if mount["RW"]] == []


@pytest.fixture
def writer(site, one, container):
    """Return a container that has written some sessions and continues."""
    secret = f"{site.folder}/secrets/sessions:/run/secrets/sessions:ro"
    argv = (f"--network={site.name}_backend", f"--volume={secret}", "--user=999:999", one, "python", "-c", WRITER)
    writer = container(*argv)
    wait_for(lambda: len(acknowledged(writer)) > 2000, seconds=30)
    return writer


def acknowledged(writer):
    """Return the seconds at which a writer's sessions were acknowledged, in the order of their numbers."""
    lines = [line.split() for line in docker("logs", writer).stdout.splitlines()]
    assert [int(number) for number, _ in lines] == list(range(len(lines)))
    return [float(moment) for _, moment in lines]


@pytest.mark.guarantee("Sessions are never evicted, and a kill of Redis loses at most those of the last two seconds")
@pytest.mark.parametrize("how", [Redis.kill, Redis.recreate])
def test_acknowledged_sessions_survive(emptied, writer, figure, how):
    """A kill loses no session that was acknowledged more than two seconds before it.

    Redis delays its write while the disk is busy with an fsync (docs/data.md).
    """
    how(emptied)
    wait_for(lambda: docker("inspect", "--format={{.State.Status}}", writer).stdout.strip() == "exited")
    moments = acknowledged(writer)
    lost = missing(emptied, len(moments))
    figure(f"redis-sessions, {how.__name__}: {len(moments):,} sessions acknowledged, {lost} lost")
    assert missing(emptied, sum(moment < moments[-1] - DELAYED_WRITE_S for moment in moments)) == 0


def missing(sessions, number):
    """Return how many of the first sessions are missing."""
    script = 'seq -f "GET session:%012.0f" 0 $(($1 - 1)) | redis-cli --user sessions | grep -c "^$" || true'
    return int(sessions.bash(script, number))


@pytest.mark.parametrize("kind", DAMAGE)
def test_damaged_end_of_file(emptied, kind):
    """Redis starts with a damaged end of its file, and loses only that end."""
    assert emptied.bash(SESSIONS, 1000, 0) == "0"
    damage(emptied, DAMAGE[kind])
    emptied.up()
    assert missing(emptied, 999) == 0
    assert emptied.command("SET", "session:next", "1") == "OK"


def test_damaged_middle_of_file(emptied):
    """Redis does not start with megabytes of unreadable data: an operator must decide."""
    assert emptied.bash(SESSIONS, 10_000, 0) == "0"
    damage(emptied, "dd if=/dev/urandom of=$log bs=4096 count=1 seek=1 conv=notrunc status=none")
    compose = emptied.server.compose
    compose("up", "--detach", "--no-deps", emptied.service)
    wait_for(lambda: "Bad file format" in compose("logs", "--tail=30", emptied.service).stdout, seconds=30)


def damage(sessions, how):
    """Kill Redis and damage its append-only file."""
    sessions.server.compose("kill", sessions.service)
    script = f"set -e; log=$(ls /data/appendonlydir/*.incr.aof | tail -1); {how}"
    argv = ("--rm", "--network=none", "--user=999:999", f"--volume={sessions.server.name}_sessions:/data")
    docker("run", *argv, "redis:8", "bash", "-c", script)


def test_full_cache(cache, figure):
    """A full cache evicts entries, accepts new ones, and stays within its memory limit."""
    before = cache.container()["State"]["StartedAt"]
    most = max(int(cache.bash(ENTRIES, *size)) for size in SIZES)
    info = cache.info()
    print_memory(figure, cache, most, "full, with values of changing sizes")
    assert (info["maxmemory_policy"], int(info["evicted_keys"]) > 0) == ("allkeys-lfu", True)
    assert cache.command("SET", "cache:mine", "1") == "OK"
    assert_healthy(cache, before, most)


def test_full_sessions(emptied, figure):
    """Full sessions are kept, new ones refused, and memory stays within its limit during a rewrite of the file."""
    before, room = emptied.container()["State"]["StartedAt"], int(emptied.info()["maxmemory"]) // SESSION
    most = int(room * 0.95)
    assert emptied.bash(SESSIONS, most, 0) == "0"
    peak, copied = map(int, emptied.bash(REWRITE, most).split())
    print_memory(
        figure, emptied, peak, f"{most:,} sessions, its file rewritten, {copied / 2**20:.0f} MiB copied on write"
    )
    refused = int(emptied.bash(SESSIONS, room, most))
    assert 0 < refused < room
    assert (int(emptied.command("DBSIZE")), emptied.info()["evicted_keys"]) == (most + room - refused, "0")
    assert missing(emptied, most) == 0
    assert_healthy(emptied, before, max(peak, int(emptied.bash("taken"))))
    emptied.bash('seq -f "DEL session:%012.0f" 0 999 | redis-cli --user sessions')
    assert wait_for(lambda: emptied.command("SET", "session:last", "1") == "OK")


def print_memory(figure, redis, most, what):
    """Print the peak memory."""
    limit = redis.container()["HostConfig"]["Memory"]
    figure(f"{redis.service}, {what}: {most / 2**20:.0f} of {limit / 2**20:.0f} MiB taken")


def assert_healthy(redis, started, most):
    """Assert that Redis was not restarted and stayed within its memory limit."""
    container = redis.container()
    state = container["State"]
    assert (state["StartedAt"], state["OOMKilled"], state["Health"]["Status"]) == (started, False, "healthy")
    assert most <= MAX_MEMORY * container["HostConfig"]["Memory"]


def test_frozen_redis(site, load, figure):
    """With both Redis services frozen for ten seconds, every request succeeds within a second."""
    site.compose("pause", "redis-cache", "redis-sessions")
    try:
        started, before = time.monotonic(), load.report.total
        wait_for(lambda: time.monotonic() - started > FREEZE_S, seconds=FREEZE_S + 5)
        assert load.report.total > before + 100
    finally:
        site.compose("unpause", "redis-cache", "redis-sessions")
    wait_for(lambda: site.request("/health/ready").json["status"] == "ready")
    load.__exit__()
    figure(f"both frozen for {FREEZE_S:.0f} s: {load.report}")
    assert load.report.failures == []
    assert load.report.slowest < SLOWEST_S
