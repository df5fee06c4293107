"""Measure what seeing costs: the cached list with metrics, request log and Sentry, each on and off, in one run.

    .venv/bin/python scripts/bench_cost.py [--rounds 24] [--seconds 1]

A Gunicorn server of one worker for each, on an SQLite file, asked in turn, without Docker, and new ones in each round,
for one process is some percent slower than another as long as it lives. The list comes from the process's own memory,
which is the cheapest way to answer it, so the shares are the largest. The log goes to another process by a pipe, as a
container's does. What is compared is how many requests are answered in a second of the processor's time, which what
else the machine does changes less than the rate; that is printed beside it. Exits with 1 above a bar. The request's id
cannot be switched off; it is in all of them.
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
SLICE = 0.2  # seconds; the machine becomes faster and slower from one second to the next

QUIET = {"METRICS": "off", "LOG_LEVEL": "WARNING"}
SETTINGS = {
    "neither": QUIET,
    "metrics": QUIET | {"METRICS": "on"},
    "metrics and log": {},
    "metrics, log and Sentry": {"SENTRY_DSN": "http://key@127.0.0.1:9/1"},  # nothing fails, so nothing is sent
}
BARS = {  # which part of the throughput of the other one may take
    ("metrics", "neither"): 0.05,
    ("metrics and log", "neither"): 0.10,
    ("metrics, log and Sentry", "metrics and log"): 0.10,
}


class Figure(NamedTuple):
    """What one round showed: requests/s, and the worker's microseconds on a processor for each."""

    rate: float
    cost: float


def main() -> int:
    """Start them, measure, print; 1 if something costs more than its bar."""
    arguments = parse()
    figures: dict[str, list[Figure]] = {name: [] for name in SETTINGS}
    with tempfile.TemporaryDirectory() as name:
        prepare(Path(name))
        for _ in range(arguments.rounds):
            for each, figure in one_round(Path(name), arguments.seconds).items():
                figures[each].append(figure)
    return show(figures)


def one_round(folder: Path, seconds: float) -> dict[str, Figure]:
    """Start a server for each setting, and ask them in turn, there and back, for a moment each time."""
    with contextlib.ExitStack() as stack:
        servers = {each: stack.enter_context(server(folder, each)) for each in SETTINGS}
        parts: dict[str, list[Figure]] = {each: [] for each in SETTINGS}
        for known in servers.values():
            measure(*known, WARM_UP)
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
    """Return the settings of a server: a person's own machine, with production's log."""
    settings = {"FLASK_ENV": "development", "DATABASE_URL": f"sqlite:///{folder}/bench.db", "LOG_FORMAT": "json"}
    return {"PATH": os.environ["PATH"], "PYTHONPATH": str(ROOT), **settings, **changes}


def prepare(folder: Path) -> None:
    """Make the database."""
    for words in (["db", "upgrade"], ["seed", "--products", "100"]):
        command = [str(BIN / "flask"), "--app", "wsgi", *words]
        subprocess.run(command, cwd=ROOT, env=environment(folder), check=True, capture_output=True, timeout=60)


@contextlib.contextmanager
def server(folder: Path, name: str) -> Iterator[tuple[int, int]]:
    """Run a server for the block; give its port and its worker's number."""
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
        while not ask(port):
            if time.monotonic() > deadline or process.poll() is not None:
                raise SystemExit(f"The server does not answer:\n{(folder / f'{name}.log').read_text()}")
            time.sleep(0.1)
        yield port, int(Path(f"/proc/{process.pid}/task/{process.pid}/children").read_text().split()[0])
    finally:
        process.terminate()
        process.wait(40)
        reader.communicate(timeout=10)


def ask(port: int) -> bool:
    """Send one request and read its answer; whether it is a good one."""
    try:
        with socket.create_connection(("127.0.0.1", port), timeout=10) as connection:
            connection.sendall(REQUEST)
            answer = b"".join(iter(lambda: connection.recv(65536), b""))
    except OSError:
        return False
    return answer.startswith(b"HTTP/1.1 200 ")


def measure(port: int, worker: int, seconds: float) -> Figure:
    """Ask from some threads for a while."""
    done: list[int] = []

    def client() -> None:
        count = 0
        while time.monotonic() < end:
            if not ask(port):
                raise SystemExit("A request failed.")
            count += 1
        done.append(count)

    before, began = used(worker), time.monotonic()
    end = began + seconds
    threads = [threading.Thread(target=client) for _ in range(CLIENTS)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return Figure(sum(done) / (time.monotonic() - began), (used(worker) - before) / sum(done) * 1e6)


def used(worker: int) -> float:
    """Return the seconds that a process has had a processor: the clock that clock_getcpuclockid(3) names for it."""
    return time.clock_gettime(~worker << 3 | 2)


def show(figures: dict[str, list[Figure]]) -> int:
    """Print the medians, and what each costs more than the one before; 1 if that is above its bar."""
    print("| on | requests/s | processor µs a request |")
    print("| --- | ---: | ---: |")
    for name, rows in figures.items():
        rate, cost = (statistics.median(column) for column in zip(*rows, strict=True))
        print(f"| {name} | {rate:,.0f} | {cost:,.0f} |")
    print()
    return max(compare(figures, more, less, bar) for (more, less), bar in BARS.items())


def compare(figures: dict[str, list[Figure]], more: str, less: str, bar: float) -> int:
    """Print which part of the throughput one takes that another leaves, by round; 1 if the median is above the bar."""
    shares = [1 - other.cost / one.cost for one, other in zip(figures[more], figures[less], strict=True)]
    share = statistics.median(shares)
    span = f"{min(shares):.1%} to {max(shares):.1%} in single rounds"
    print(f"{more} against {less}: {share:.1%} ({span}), of {bar:.0%} allowed")
    return int(share > bar)


if __name__ == "__main__":
    sys.exit(main())
