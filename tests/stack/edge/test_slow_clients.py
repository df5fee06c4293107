"""A thousand slow connections do not affect another client."""

import http.client
import itertools
import re
import statistics
import threading
import time

import pytest

from tests.support.stack.client import HostConnection
from tests.support.stack.compose import docker
from tests.support.stack.server import HOST
from tests.support.stack.tool import URL, run_tool

IDLE, SECONDS = 10, 40  # seconds; all connections are open after 17
PROBE_INTERVAL_S = 0.02  # seconds between two requests of the probe client, however long a response takes
FILE = "/static/large.0123456789ab.css"
ATTACKS = {
    "slow headers": f"-H -i 5 -t GET -u {URL}/api/products",
    "slow body": f"-B -i 5 -s 60000 -t POST -u {URL}/api/products",
    "slow read": f"-X -w 16 -y 32 -n 5 -z 8 -u {URL}{FILE}",
}
pytestmark = pytest.mark.timeout(300)


def probe_client(server, until):
    """Send requests on new and kept connections until UNTIL is true; return their durations and the failures."""
    durations, failures, kept, due = [], [], HostConnection(server.https, HOST, 10), time.monotonic()
    for number in itertools.count():
        if until():
            break
        due += PROBE_INTERVAL_S
        connection = HostConnection(server.https, HOST, 10) if number % 5 == 0 else kept
        path = "/api/products" if number % 2 else "/health"
        start = time.monotonic()
        try:
            connection.request("GET", path, headers={"Host": HOST})
            response = connection.getresponse()
            response.read()
            failures += [f"{path}: {response.status}"] if response.status != 200 else []
        except (OSError, http.client.HTTPException) as error:
            failures.append(f"{path}: {error!r}")
            kept = HostConnection(server.https, HOST, 10)
        durations.append(time.monotonic() - start)
        if connection is not kept:
            connection.close()
        time.sleep(max(0.0, due - time.monotonic()))
    kept.close()
    return durations, failures


def p99(seconds):
    """Return the 99th percentile."""
    return statistics.quantiles(seconds, n=100)[98]


def attack(server, tools, how, *, connections, rate, seconds):
    """Run slowhttptest; return a probe client's durations and failures, and the numbers of connections held."""
    output = []

    def run_attack():
        command = ("slowhttptest", "-c", str(connections), "-r", str(rate), "-l", str(seconds), *how.split())
        # Limits the attacker's CPU, which it shares with the server here.
        options = ("--cpus=0.5", "--ulimit=nofile=16384")
        output.append(run_tool(server, tools, *command, options=options, timeout=seconds + 60))

    attacker = threading.Thread(target=run_attack)
    attacker.start()
    times, failures = probe_client(server, lambda: not attacker.is_alive())
    attacker.join()
    plain = re.sub(r"\x1b\[[\d;]*m", "", output[0])
    return times, failures, [int(number) for number in re.findall(r"connected:\D*(\d+)", plain)]


@pytest.fixture(scope="module")
def file(server):
    """A file larger than the kernel's socket buffers."""
    path = server.folder / f"static/identity{FILE}"
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(b" " * 2**22)
    yield
    path.unlink()


@pytest.mark.guarantee("A thousand slow connections cost another client no request and less than twice its p99")
@pytest.mark.usefixtures("file")
@pytest.mark.parametrize("name", ATTACKS)
def test_slow_connections_do_not_affect_others(server, tools, figure, name):
    """With a thousand slow connections another client has no failure, and its p99 is below twice the idle one.

    The limits per client are out of the way here.
    """
    end = time.monotonic() + IDLE
    idle, failures = probe_client(server, lambda: time.monotonic() > end)
    assert failures == []
    seconds, failures, held = attack(server, tools, ATTACKS[name], connections=1000, rate=60, seconds=SECONDS)
    ratio = p99(seconds) / p99(idle)
    times = f"p99 {p99(seconds) * 1000:.1f} ms, {ratio:.2f} times idle"
    figure(f"{name}: {max(held)} held; {len(seconds)} requests, {len(failures)} failed; {times}")
    assert len([number for number in held if number > 950]) >= 4  # reported every five seconds
    assert failures == []
    assert ratio < 2


def test_all_connections_fit_into_memory(server, tools, figure):
    """With nearly all of nginx's connections held it is not killed, and another client is served."""
    name = f"{server.name}-nginx-1"
    how = ATTACKS["slow headers"]
    seconds, failures, held = attack(server, tools, how, connections=3900, rate=400, seconds=35)
    state = docker("inspect", "--format", "{{.RestartCount}} {{.State.OOMKilled}}", name).stdout.split()
    memory = docker("stats", "--no-stream", "--format", "{{.MemUsage}}", name).stdout.strip()
    figure(f"{max(held)} connections held, {memory}; {len(seconds)} requests, {len(failures)} failed")
    assert max(held) > 3500
    assert failures == []
    assert state == ["0", "false"]
