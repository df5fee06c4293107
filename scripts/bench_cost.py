"""Measure what observability costs: a cached list with metrics, access log and Sentry, each on and off, in one run.

    .venv/bin/python scripts/bench_cost.py [--rounds 24] [--seconds 1]

Each setting gets a Gunicorn server with one worker on an SQLite file, without Docker. Clients load the servers in turn.
Each round starts new servers, because one process can be some percent slower than another for its whole life. The list
comes from the local cache, the cheapest response, so the shares are the largest. The log goes to another process
through a pipe, as in a container. The comparison uses CPU time per request, which other processes influence less than
the rate. Exits with 1 above a limit. All settings include the request id, which cannot be switched off.
"""

import argparse
import contextlib
import os
import socket
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

ROOT = Path(__file__).parent.parent
BIN = Path(sys.executable).parent
CLIENTS = 4
REQUEST = b"GET /api/products HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n"
WARM_UP = 0.5  # seconds
SLICE = 0.2  # seconds; the speed of the machine changes from one second to the next

QUIET = {"METRICS": "off", "LOG_LEVEL": "WARNING"}
SETTINGS = {
    "neither": QUIET,
    "metrics": QUIET | {"METRICS": "on"},
    "metrics and log": {},
    "metrics, log and Sentry": {"SENTRY_DSN": "http://key@127.0.0.1:9/1"},  # no request fails, so nothing is sent
}
LIMITS = {  # the share of the second setting's throughput that the first may cost
    ("metrics", "neither"): 0.05,
    ("metrics and log", "neither"): 0.10,
    ("metrics, log and Sentry", "metrics and log"): 0.10,
}


class Figure(NamedTuple):
    """The result of one round: requests/s, and the worker's CPU time per request in microseconds."""

    rate: float
    cost: float


def main() -> int:
    """Measure all settings and print the result; return 1 if one exceeds its limit."""
    arguments = parse()
    figures: dict[str, list[Figure]] = {name: [] for name in SETTINGS}
    with tempfile.TemporaryDirectory() as name:
        prepare(Path(name))
        for _ in range(arguments.rounds):
            for each, figure in one_round(Path(name), arguments.seconds).items():
                figures[each].append(figure)
    return show(figures)


def one_round(folder: Path, seconds: float) -> dict[str, Figure]:
    """Start a server for each setting, and load them in turn, in alternating order."""
    with contextlib.ExitStack() as stack:
        servers = {each: stack.enter_context(server(folder, each)) for each in SETTINGS}
        parts: dict[str, list[Figure]] = {each: [] for each in SETTINGS}
        for target in servers.values():
            measure(*target, WARM_UP)
        for turn in range(round(seconds / SLICE)):
            for each in list(SETTINGS)[:: -1 if turn % 2 else 1]:
                parts[each].append(measure(*servers[each], SLICE))
    return {each: Figure(*map(statistics.mean, zip(*many, strict=True))) for each, many in parts.items()}


def parse() -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--rounds", type=int, default=24)
    parser.add_argument("--seconds", type=float, default=1, help="per setting and round")
    return parser.parse_args()


def environment(folder: Path, **changes: str) -> dict[str, str]:
    """Return the environment of a server: development, with the log format of production."""
    settings = {"FLASK_ENV": "development", "DATABASE_URL": f"sqlite:///{folder}/bench.db", "LOG_FORMAT": "json"}
    return {"PATH": os.environ["PATH"], "PYTHONPATH": str(ROOT), **settings, **changes}


def prepare(folder: Path) -> None:
    """Create the database."""
    for arguments in (["db", "upgrade"], ["seed", "--products", "100"]):
        command = [str(BIN / "flask"), "--app", "wsgi", *arguments]
        subprocess.run(command, cwd=ROOT, env=environment(folder), check=True, capture_output=True, timeout=60)


@contextlib.contextmanager
def server(folder: Path, name: str) -> Iterator[tuple[int, int]]:
    """Run a server during the block; yield its port and its worker's pid."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = int(probe.getsockname()[1])
    env = environment(folder, HOST="127.0.0.1", PORT=str(port), WEB_CONCURRENCY="1", **SETTINGS[name])
    command = [str(BIN / "gunicorn"), "--config", str(ROOT / "gunicorn.conf.py")]
    with (folder / f"{name}.log").open("wb") as log:
        reader = subprocess.Popen(["cat"], stdin=subprocess.PIPE, stdout=log)
    process = subprocess.Popen(command, cwd=folder, env=env, stderr=reader.stdin)
    try:
        deadline = time.monotonic() + 30
        while not request(port):
            if time.monotonic() > deadline or process.poll() is not None:
                raise SystemExit(f"The server does not respond:\n{(folder / f'{name}.log').read_text()}")
            time.sleep(0.1)
        yield port, int(Path(f"/proc/{process.pid}/task/{process.pid}/children").read_text().split()[0])
    finally:
        process.terminate()
        process.wait(40)
        reader.communicate(timeout=10)


def request(port: int) -> bool:
    """Send one request; return whether the response is 200."""
    try:
        with socket.create_connection(("127.0.0.1", port), timeout=10) as connection:
            connection.sendall(REQUEST)
            response = b"".join(iter(lambda: connection.recv(65536), b""))
    except OSError:
        return False
    return response.startswith(b"HTTP/1.1 200 ")


def measure(port: int, worker: int, seconds: float) -> Figure:
    """Send requests from several threads for a while."""
    done: list[int] = []

    def client() -> None:
        count = 0
        while time.monotonic() < end:
            if not request(port):
                raise SystemExit("A request failed.")
            count += 1
        done.append(count)

    cpu_time, started_at = cpu_seconds(worker), time.monotonic()
    end = started_at + seconds
    threads = [threading.Thread(target=client) for _ in range(CLIENTS)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return Figure(sum(done) / (time.monotonic() - started_at), (cpu_seconds(worker) - cpu_time) / sum(done) * 1e6)


def cpu_seconds(pid: int) -> float:
    """Return the CPU time of a process; clock_getcpuclockid(3) explains the number of its clock."""
    return time.clock_gettime(~pid << 3 | 2)


def show(figures: dict[str, list[Figure]]) -> int:
    """Print the medians and the shares; return 1 if one exceeds its limit."""
    print("| Setting | Requests/s | CPU time per request, µs |")
    print("| --- | ---: | ---: |")
    for name, rows in figures.items():
        rate, cost = (statistics.median(column) for column in zip(*rows, strict=True))
        print(f"| {name} | {rate:,.0f} | {cost:,.0f} |")
    print()
    return max(compare(figures, more, less, limit) for (more, less), limit in LIMITS.items())


def compare(figures: dict[str, list[Figure]], more: str, less: str, limit: float) -> int:
    """Print the share of the throughput that MORE costs; return 1 if the median of the rounds exceeds the limit."""
    shares = [1 - other.cost / one.cost for one, other in zip(figures[more], figures[less], strict=True)]
    share = statistics.median(shares)
    span = f"{min(shares):.1%} to {max(shares):.1%} in single rounds"
    print(f"{more} against {less}: {share:.1%} ({span}), limit {limit:.0%}")
    return int(share > limit)


if __name__ == "__main__":
    sys.exit(main())
