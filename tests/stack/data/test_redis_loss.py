"""What is lost when a Redis of production dies, is filled up or stands still, and what users notice of it."""

import json
import time

import pytest

from tests.support.helpers import wait_for
from tests.support.stack.compose import docker
from tests.support.stack.load import Load
from tests.support.stack.server import HOST

SLOWEST = 1.0  # seconds
PAUSE = 10.0  # seconds
ROOM = 0.9  # of a container's memory may be taken
SESSION = 425  # bytes that one session takes in Redis, 300 of them its value

# Writes session after session, and prints the number of each that Redis has acknowledged.
WRITER = """
import itertools, pathlib, redis
word = pathlib.Path("/run/secrets/sessions").read_text().strip()
never = redis.retry.Retry(redis.backoff.NoBackoff(), 0)
client = redis.Redis("redis-sessions", username="sessions", password=word, socket_timeout=2, retry=never)
for number in itertools.count():
    client.set(f"session:{number:012}", number)
    print(number, flush=True)
"""
# In a container: $1 sessions from number $2 on, as quickly as they go in; prints how many were refused.
SESSIONS = """
awk -v number="$1" -v first="$2" 'BEGIN {
  for (i = first; i < first + number; i++) {
    printf "*3\\r\\n$3\\r\\nSET\\r\\n$20\\r\\nsession:%012d\\r\\n$300\\r\\n%0300d\\r\\n", i, i
  }
}' | redis-cli --user sessions --pipe | sed -n "s/^errors: \\([0-9]*\\), replies.*/\\1/p"
"""
# Changes the first $1 sessions, to other sizes, until the file has been written anew; prints the most memory that was
# taken meanwhile, and how much of it was there twice.
REWRITE = """
said() { redis-cli --user sessions INFO persistence | sed -n "s/^$1:\\([0-9]*\\).*/\\1/p"; }
for size in 260 300; do
  write -n 100000000 -r "$1" SET session:__rand_int__ "$(printf "%0*d" "$size" 0)" &
done
until=$(($(said aof_rewrites) + 1)) most=0
while (($(said aof_rewrites) < until)); do
  for _ in {1..20}; do
    now=$(taken)
    ((now <= most)) || most=$now
  done
done
kill $(jobs -p)
echo "$most" "$(said aof_last_cow_size)"
"""
# Writes $2 answers of $1 bytes; prints the memory that is taken then.
ANSWERS = """
(write -n "$2" -r 100000000 SET cache:__rand_int__ "$(printf "%0*d" "$1" 0)")
taken
"""
SIZES = ((200, 400_000), (3000, 80_000), (50, 400_000), (20_000, 12_000), (700, 250_000))  # each fills it
# How much memory is taken that is not the kernel's to take back, in either version of cgroups; and how to write a lot.
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
    """One of a server's two, and what is done to it."""

    def __init__(self, server, role):
        self.server, self.role, self.service = server, role, f"redis-{role}"

    def bash(self, script, *words):
        """Run a script in the container, and return what it prints."""
        words = ("exec", "-T", self.service, "bash", "-c", HELP + script, "-", *map(str, words))
        return self.server.compose(*words, timeout=180).stdout.strip()

    def ask(self, *words):
        """Send a command as the role that the application has, and return the answer."""
        return self.bash(f'redis-cli --user {self.role} "$@" 2>&1', *words)

    def info(self):
        """Return what Redis says of itself."""
        return dict(line.split(":", 1) for line in self.ask("INFO").splitlines() if ":" in line)

    def container(self):
        """Return what `docker inspect` tells."""
        return json.loads(docker("inspect", self.server.compose("ps", "-aq", self.service).stdout.strip()).stdout)[0]

    def up(self):
        """Start it, and wait until it is healthy."""
        self.server.compose("up", "--detach", "--wait", "--wait-timeout", "60", "--no-deps", self.service)

    def die(self):
        """Kill the process as the kernel would, and wait until Docker has started another."""
        state = self.container()["State"]
        # From outside: in its container it is the first process, and no signal from there kills that.
        kill = ("bash", "-c", f"kill -KILL {state['Pid']}")
        docker("run", "--rm", "--pid=host", "--network=none", "--user=999:999", "redis:8", *kill)
        wait_for(lambda: self.container()["State"]["StartedAt"] != state["StartedAt"], seconds=30)
        wait_for(lambda: self.ask("PING") == "PONG", seconds=30)

    def make_anew(self):
        """Kill it, remove its container, and start another one."""
        self.server.compose("kill", self.service)
        self.server.compose("rm", "--force", self.service)
        self.up()


@pytest.fixture(scope="module")
def site(data):
    """Return a server whose Redis may be filled up."""
    return data


@pytest.fixture(scope="module")
def cache(site):
    """Return the Redis of cached answers."""
    return Redis(site, "cache")


@pytest.fixture(scope="module")
def sessions(site):
    """Return the Redis of sessions."""
    return Redis(site, "sessions")


@pytest.fixture
def emptied(sessions):
    """Return the Redis of sessions, with nothing in it before and after."""
    empty(sessions)
    yield sessions
    empty(sessions)


def empty(sessions):
    """Take the volume away, as nobody but the engine may."""
    sessions.server.compose("rm", "--stop", "--force", sessions.service)
    docker("volume", "rm", f"{sessions.server.name}_sessions")
    sessions.up()


@pytest.fixture(scope="module")
def token(site):
    """Return a token that may change products."""
    return site.token()


@pytest.fixture
def load(site, token):
    """Return a light load on the server, of reads that pass Nginx' cache, and of writes."""
    with Load(site.https, HOST, token, keeping=2, fresh=1, rate=10) as load:
        wait_for(lambda: load.report.total > 20)
        yield load


@pytest.mark.parametrize("how", [Redis.die, Redis.make_anew])
def test_a_cache_that_dies_costs_nothing_but_what_it_had(site, cache, load, figure, how):
    """Killed or made anew, it begins empty; every request is answered well meanwhile, and then it is used again."""
    assert cache.ask("SET", "cache:mine", "1") == "OK"
    how(cache)
    assert cache.ask("MGET", "cache:mine") == ""
    seen = load.report.total
    wait_for(lambda: load.report.total > seen + 60)
    load.__exit__()
    figure(f"redis-cache, {how.__name__}: {load.report}")
    assert load.report.failures == []
    assert load.report.slowest < SLOWEST
    assert {("GET", 200), ("POST", 201)} == set(load.report.answers)
    wait_for(lambda: outcome(site, load.token).startswith("app; hit"))


def outcome(site, token):
    """Return what the application's cache was to a request that passes Nginx' own."""
    return site.ask("/api/products?limit=5", token=token).headers["Cache-Status"]


def test_nothing_of_the_cache_is_on_a_disk(cache):
    """What it has is in memory alone: its folder is memory too and empty, and it has no volume."""
    assert cache.ask("SET", "cache:mine", "1") == "OK"
    shown = cache.bash("ls -A /data; stat --file-system --format %T /data")
    assert shown == "tmpfs"
    assert [mount["Destination"] for mount in cache.container()["Mounts"] if mount["RW"]] == []


@pytest.fixture
def writer(site, one, container):
    """Return a container that writes sessions, of which it has written some already."""
    secret = f"{site.folder}/secrets/sessions:/run/secrets/sessions:ro"
    words = (f"--network={site.name}_backend", f"--volume={secret}", "--user=999:999", one, "python", "-c", WRITER)
    writer = container(*words)
    wait_for(lambda: len(acknowledged(writer)) > 2000, seconds=30)
    return writer


def acknowledged(writer):
    """Return the numbers that a writer has printed."""
    return [int(line) for line in docker("logs", writer).stdout.split()]


@pytest.mark.parametrize("how", [Redis.die, Redis.make_anew])
def test_sessions_survive_their_redis(emptied, writer, figure, how):
    """Of a writer's sessions, each that was acknowledged before Redis was killed is there afterwards."""
    how(emptied)
    wait_for(lambda: docker("inspect", "--format={{.State.Status}}", writer).stdout.strip() == "exited")
    written = acknowledged(writer)
    figure(f"redis-sessions, {how.__name__}: {len(written):,} sessions acknowledged")
    assert written == list(range(len(written)))
    assert missing(emptied, len(written)) == 0


def missing(sessions, number):
    """Return how many of the first so many sessions are not there."""
    script = 'seq -f "GET session:%012.0f" 0 $(($1 - 1)) | redis-cli --user sessions | grep -c "^$" || true'
    return int(sessions.bash(script, number))


@pytest.mark.parametrize("kind", DAMAGE)
def test_a_damaged_end_loses_the_end_alone(emptied, kind):
    """After a power cut that has damaged the last thing written, Redis starts, and has everything before that."""
    assert emptied.bash(SESSIONS, 1000, 0) == "0"
    damage(emptied, DAMAGE[kind])
    emptied.up()
    assert missing(emptied, 999) == 0
    assert emptied.ask("SET", "session:next", "1") == "OK"


def test_more_than_an_end_is_not_given_up_unasked(emptied):
    """Where megabytes cannot be read, Redis does not start without them: what becomes of them, somebody decides."""
    assert emptied.bash(SESSIONS, 10_000, 0) == "0"
    damage(emptied, "dd if=/dev/urandom of=$log bs=4096 count=1 seek=1 conv=notrunc status=none")
    compose = emptied.server.compose
    compose("up", "--detach", "--no-deps", emptied.service)
    wait_for(lambda: "Bad file format" in compose("logs", "--tail=30", emptied.service).stdout, seconds=30)


def damage(sessions, how):
    """Kill Redis, and do this to the file that it was writing."""
    sessions.server.compose("kill", sessions.service)
    script = f"set -e; log=$(ls /data/appendonlydir/*.incr.aof | tail -1); {how}"
    words = ("--rm", "--network=none", "--user=999:999", f"--volume={sessions.server.name}_sessions:/data")
    docker("run", *words, "redis:8", "bash", "-c", script)


def test_a_full_cache_forgets_and_lives(cache, figure):
    """Filled with answers of changing sizes it forgets some, takes new ones, and stays well within its container."""
    before = cache.container()["State"]["StartedAt"]
    most = max(int(cache.bash(ANSWERS, *size)) for size in SIZES)
    info = cache.info()
    told(figure, cache, most, "full, with values of changing sizes")
    assert (info["maxmemory_policy"], int(info["evicted_keys"]) > 0) == ("allkeys-lfu", True)
    assert cache.ask("SET", "cache:mine", "1") == "OK"
    assert_well(cache, before, most)


def test_full_sessions_are_kept_and_new_ones_refused(emptied, figure):
    """Filled up while its file is written anew it stays well within its container, keeps all, and refuses the rest."""
    before, room = emptied.container()["State"]["StartedAt"], int(emptied.info()["maxmemory"]) // SESSION
    most = int(room * 0.95)
    assert emptied.bash(SESSIONS, most, 0) == "0"
    peak, twice = map(int, emptied.bash(REWRITE, most).split())
    told(figure, emptied, peak, f"{most:,} sessions, its file written anew, {twice / 2**20:.0f} MiB there twice")
    refused = int(emptied.bash(SESSIONS, room, most))
    assert 0 < refused < room
    assert (int(emptied.ask("DBSIZE")), emptied.info()["evicted_keys"]) == (most + room - refused, "0")
    assert missing(emptied, most) == 0
    assert_well(emptied, before, max(peak, int(emptied.bash("taken"))))
    emptied.bash('seq -f "DEL session:%012.0f" 0 999 | redis-cli --user sessions')
    assert wait_for(lambda: emptied.ask("SET", "session:last", "1") == "OK")


def told(figure, redis, most, what):
    """Print how much memory was taken."""
    limit = redis.container()["HostConfig"]["Memory"]
    figure(f"{redis.service}, {what}: {most / 2**20:.0f} of {limit / 2**20:.0f} MiB taken")


def assert_well(redis, started, most):
    """It is the process that it was, and has not taken more than its share of the container's memory."""
    found = redis.container()
    state = found["State"]
    assert (state["StartedAt"], state["OOMKilled"], state["Health"]["Status"]) == (started, False, "healthy")
    assert most <= ROOM * found["HostConfig"]["Memory"]


def test_a_redis_that_stands_still_is_not_waited_for(site, load, figure):
    """With both frozen for ten seconds every request is answered well within one, and then all is as it was."""
    site.compose("pause", "redis-cache", "redis-sessions")
    try:
        began, seen = time.monotonic(), load.report.total
        wait_for(lambda: time.monotonic() - began > PAUSE, seconds=PAUSE + 5)
        assert load.report.total > seen + 100
    finally:
        site.compose("unpause", "redis-cache", "redis-sessions")
    wait_for(lambda: site.ask("/health/ready").json["status"] == "ready")
    load.__exit__()
    figure(f"both frozen for {PAUSE:.0f} s: {load.report}")
    assert load.report.failures == []
    assert load.report.slowest < SLOWEST
