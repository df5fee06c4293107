"""Measures requests/s and latency through nginx, and how deep pages of a large list perform.

Each rate is also given as a share of a plain WSGI function's with the same bytes, Gunicorn settings and nginx. Starts a
temporary stack and measures in rounds, so that other load on the machine affects every figure alike. Needs Docker and
takes about five minutes; `--rounds`, `--seconds` and `--products` shorten it.
"""

import argparse
import http.client
import json
import os
import re
import secrets
import statistics
import subprocess
import sys
import time
from pathlib import Path
from typing import NamedTuple

ROOT = Path(__file__).parent.parent
PAGE = 20
PAGE_LIMIT_MS = 20
TARGET_SHARES = {"cached list": 0.6, "uncached read": 0.4}
PROJECT = f"bench-{secrets.token_hex(3)}"
COMPOSE = ["docker", "compose", "--project-name", PROJECT]
COMPOSE += ["--file", "docker-compose.yml", "--file", "bench/docker-compose.yml"]
ENVIRONMENT = {**os.environ, "SECRET_KEY": secrets.token_urlsafe(48), "HTTP_PORT": "0"}

TARGETS = {
    "plain WSGI": ["http://ceiling-nginx:8080/"],
    "GET /health": ["http://nginx:8080/health"],
    "cached list": ["http://nginx:8080/api/products"],
    "uncached read": ["--script", "read.lua", "http://nginx:8080"],
    "write": ["--script", "write.lua", "http://nginx:8080"],
}


class Figure(NamedTuple):
    """wrk's results: requests/s, milliseconds, and failed requests."""

    rate: float
    p50: float
    p99: float
    errors: int


def main() -> int:
    """Run the benchmark; return 1 if a figure misses its target or a request failed."""
    options = parse()
    try:
        compose("build", "--quiet", "web", "wrk")
        compose("up", "--detach", "--wait", "--wait-timeout", "180", "--quiet-pull", quiet=True)
        compose("exec", "web", "flask", "seed", "--products", str(options.products), "--force", quiet=True)
        create = ["flask", "token", "create", "bench", "--scope", "products", "--scope", "cache"]
        token = compose("exec", "web", *create).strip()
        figures = measure(options.rounds, options.seconds, options.connections, token)
        pages = measure_pages(token, options.products)
    finally:
        compose("down", "--volumes", "--timeout", "3", quiet=True)
    show(figures)
    show_pages(pages, options.products)
    return 1 if [print(f"bench: {problem}", file=sys.stderr) for problem in missed_targets(figures, pages)] else 0


def parse() -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--seconds", type=int, default=5, help="per figure and round")
    parser.add_argument("--connections", type=int, default=16)
    parser.add_argument("--products", type=int, default=1_000_000, help="rows in the table")
    return parser.parse_args()


def compose(*arguments: str, quiet: bool = False) -> str:
    """Run a Compose command on the benchmark's project and return its output."""
    completed = subprocess.run(
        [*COMPOSE, *arguments],
        cwd=ROOT,
        env=ENVIRONMENT,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE if quiet else None,
        text=True,
        timeout=600,
        check=False,
    )
    if completed.returncode:
        raise SystemExit(f"bench: {' '.join(arguments)} failed\n{completed.stdout}{completed.stderr or ''}")
    return completed.stdout


def measure(rounds: int, seconds: int, connections: int, token: str) -> dict[str, list[Figure]]:
    """Return a figure per target and round, after a short warm-up round."""
    figures: dict[str, list[Figure]] = {name: [] for name in TARGETS}
    for number in range(rounds + 1):
        for name, target in TARGETS.items():
            print(f"round {number} of {rounds}: {name}", file=sys.stderr)
            length = str(seconds) if number else "1"
            command = ["run", "--rm", "--no-deps", "--env", f"TOKEN={token}", "--env", f"RUN={number}", "wrk"]
            wrk = [
                "wrk",
                "--threads",
                "1",
                "--connections",
                str(connections),
                "--duration",
                length,
                "--latency",
                *target,
            ]
            figure = read(compose(*command, *wrk, quiet=True))
            if number:
                figures[name].append(figure)
    return figures


def read(output: str) -> Figure:
    """Parse wrk's output."""
    rate = float(re.search(r"Requests/sec:\s+([\d.]+)", output)[1])  # type: ignore[index]
    errors = sum(int(number) for number in re.findall(r"Non-2xx or 3xx responses: (\d+)", output))
    for row in re.findall(r"Socket errors: (.*)", output):
        errors += sum(int(number) for number in re.findall(r"\d+", row))
    return Figure(rate, percentile(output, "50"), percentile(output, "99"), errors)


def percentile(output: str, percent: str) -> float:
    """Return a latency in milliseconds."""
    number, unit = re.search(rf"\s{percent}%\s+([\d.]+)(us|ms|s)", output).groups()  # type: ignore[union-attr]
    return float(number) * {"us": 0.001, "ms": 1, "s": 1000}[unit]


def measure_pages(token: str, products: int) -> dict[str, float]:
    """Return the median milliseconds of the list's first page and of a deep one, both uncached."""
    host, port = compose("port", "nginx", "8080").strip().rsplit(":", 1)
    connection = http.client.HTTPConnection(host, int(port), timeout=10)
    deep = min(10_000, products // PAGE)
    places = {"page 1": "", f"page {deep:,}": f"&cursor={cursor_of(connection, deep)}"}
    times: dict[str, list[float]] = {name: [] for name in places}
    for _ in range(100):
        for name, place in places.items():
            fetch(connection, "DELETE", "/cache/tags/products", {"Authorization": f"Bearer {token}"})
            start = time.perf_counter()
            fetch(connection, "GET", f"/api/products?limit={PAGE}{place}")
            times[name].append((time.perf_counter() - start) * 1000)
    return {name: statistics.median(rows) for name, rows in times.items()}


def cursor_of(connection: http.client.HTTPConnection, page: int) -> str:
    """Return the cursor of the start of PAGE, following next_cursor as a client does."""
    left, cursor = (page - 1) * PAGE, ""
    while left:
        step = min(left, 100)
        cursor = json.loads(fetch(connection, "GET", f"/api/products?limit={step}{cursor}"))["next_cursor"]
        left, cursor = left - step, f"&cursor={cursor}"
    return cursor.removeprefix("&cursor=")


def fetch(
    connection: http.client.HTTPConnection, method: str, path: str, headers: dict[str, str] | None = None
) -> bytes:
    """Return the body of a successful response; exit on any other."""
    connection.request(method, path, headers=headers or {})
    response = connection.getresponse()
    body = response.read()
    if response.status >= 300:
        raise SystemExit(f"bench: {method} {path} returned {response.status}: {body[:200]!r}")
    return body


def missed_targets(figures: dict[str, list[Figure]], pages: dict[str, float]) -> list[str]:
    """Return the figures that miss the project's targets."""
    ceiling = statistics.median(figure.rate for figure in figures["plain WSGI"])
    found = [f"{name}: requests failed" for name, rows in figures.items() if any(row.errors for row in rows)]
    for name, share in TARGET_SHARES.items():
        if statistics.median(row.rate for row in figures[name]) < share * ceiling:
            found.append(f"{name}: below {share:.0%} of plain WSGI")
    first, deep = pages.values()
    if max(first, deep) > PAGE_LIMIT_MS or deep > 2 * first:
        found.append(f"pages: {first:.1f} ms and {deep:.1f} ms; both under {PAGE_LIMIT_MS} ms and within 2 times")
    return found


def show(figures: dict[str, list[Figure]]) -> None:
    """Print the medians over the rounds as a Markdown table."""
    ceiling = statistics.median(figure.rate for figure in figures["plain WSGI"])
    print("| | requests/s | of plain WSGI | p50 ms | p99 ms | failed |")
    print("| --- | ---: | ---: | ---: | ---: | ---: |")
    for name, rows in figures.items():
        rate = statistics.median(row.rate for row in rows)
        middle, slow = statistics.median(row.p50 for row in rows), statistics.median(row.p99 for row in rows)
        failed = sum(row.errors for row in rows)
        print(f"| {name} | {rate:,.0f} | {rate / ceiling:.0%} | {middle:.1f} | {slow:.1f} | {failed} |")


def show_pages(pages: dict[str, float], products: int) -> None:
    """Print the times of the pages."""
    print(f"\nThe list of {products:,} products, {PAGE} a page, not cached:")
    print("; ".join(f"{name} {milliseconds:.1f} ms" for name, milliseconds in pages.items()))


if __name__ == "__main__":
    sys.exit(main())
