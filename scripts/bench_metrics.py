"""Measure what metrics cost: the cached list with METRICS on and off, in alternating rounds, without Docker.

    .venv/bin/python scripts/bench_metrics.py [--rounds 20] [--seconds 2]

Two Gunicorn servers of one worker each, on an SQLite file; the list comes from the process's own memory, which is the
cheapest way to answer it, so the share is the largest. What is compared is the processor's time for a request, which
what else the machine does changes less than the rate; that is printed beside it. Exits with 1 above the bar.
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

import psutil  # type: ignore[import-untyped]

ROOT = Path(__file__).parent.parent
BIN = Path(sys.executable).parent
BAR = 0.05
CLIENTS = 4
REQUEST = b"GET /api/products HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n"


class Figure(NamedTuple):
    """What one round showed: requests/s, and the worker's microseconds on a processor for each."""

    rate: float
    cost: float


def main() -> int:
    """Start both, measure, print; 1 if metrics cost more than the bar."""
    arguments = parse()
    figures: dict[str, list[Figure]] = {"off": [], "on": []}
    with tempfile.TemporaryDirectory() as name, contextlib.ExitStack() as stack:
        prepare(Path(name))
        ports = {setting: stack.enter_context(server(Path(name), setting)) for setting in figures}
        for number in range(arguments.rounds + 1):  # the first warms up
            for setting, port in sorted(ports.items(), reverse=bool(number % 2)):
                figure = measure(*port, arguments.seconds)
                if number:
                    figures[setting].append(figure)
    return show(figures)


def parse() -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--rounds", type=int, default=20)
    parser.add_argument("--seconds", type=float, default=2, help="per setting and round")
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
def server(folder: Path, setting: str) -> Iterator[tuple[int, psutil.Process]]:
    """Run a server for the block; give its port and its worker."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = int(probe.getsockname()[1])
    env = environment(folder, METRICS=setting, HOST="127.0.0.1", PORT=str(port), WEB_CONCURRENCY="1")
    command = [str(BIN / "gunicorn"), "--config", str(ROOT / "gunicorn.conf.py")]
    with (folder / f"{setting}.log").open("wb") as log:
        process = subprocess.Popen(command, cwd=folder, env=env, stderr=log)
    try:
        deadline = time.monotonic() + 30
        while not ask(port):
            if time.monotonic() > deadline or process.poll() is not None:
                raise SystemExit(f"The server does not answer:\n{(folder / f'{setting}.log').read_text()}")
            time.sleep(0.1)
        yield port, psutil.Process(process.pid).children()[0]
    finally:
        process.terminate()
        process.wait(40)


def ask(port: int) -> bool:
    """Send one request and read its answer; whether it is a good one."""
    try:
        with socket.create_connection(("127.0.0.1", port), timeout=10) as connection:
            connection.sendall(REQUEST)
            answer = b"".join(iter(lambda: connection.recv(65536), b""))
    except OSError:
        return False
    return answer.startswith(b"HTTP/1.1 200 ")


def measure(port: int, worker: psutil.Process, seconds: float) -> Figure:
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


def used(worker: psutil.Process) -> float:
    """Return the seconds that a process has had a processor."""
    times = worker.cpu_times()
    return float(times.user + times.system)


def show(figures: dict[str, list[Figure]]) -> int:
    """Print what the quieter rounds showed, and what metrics add; 1 if that is above the bar."""
    print("| METRICS | requests/s | processor µs a request |")
    print("| --- | ---: | ---: |")
    costs = {}
    for setting, rows in figures.items():
        costs[setting] = quiet([row.cost for row in rows])
        print(f"| {setting} | {-quiet([-row.rate for row in rows]):,.0f} | {costs[setting]:,.0f} |")
    share = costs["on"] / costs["off"] - 1
    print(f"\nMetrics add {share:.1%} to the processor's time for a cached list.")
    return int(share > BAR)


def quiet(numbers: list[float]) -> float:
    """Return the lower quartile: what else the machine does only ever adds."""
    return statistics.quantiles(numbers, n=4)[0]


if __name__ == "__main__":
    sys.exit(main())
