"""A constant load of reads and writes, over connections that are kept and over fresh ones; it counts what fails."""

import http.client
import itertools
import json
import secrets
import threading
import time
from collections import Counter
from dataclasses import dataclass, field

from tests.stack.client import HostConnection

READS = ("/api/products?limit=5", "/api/products?sort=-price&limit=5", "/health/version")
WRITES_EVERY = 5
PATIENCE = 10


@dataclass
class Report:
    """What a load has seen: answers by method and status, failures, the slowest answer, and the SKUs answered 201."""

    answers: Counter = field(default_factory=Counter)
    releases: Counter = field(default_factory=Counter)
    failures: list = field(default_factory=list)
    slowest: float = 0.0
    created: list = field(default_factory=list)

    @property
    def total(self):
        """Return how many requests were sent."""
        return sum(self.answers.values()) + len(self.failures)

    def __str__(self):
        """Return the counts in one line."""
        answers = ", ".join(f"{method} {status}: {number:,}" for (method, status), number in self.answers.items())
        return f"{self.total:,} requests ({answers}), {len(self.failures)} failed, slowest {self.slowest:.2f} s"


class Load:
    """Clients that each send a fixed number of requests a second to a host's TLS port, until they are stopped."""

    patience = PATIENCE

    def __init__(self, port, host, token, *, keeping=6, fresh=2, rate=20):
        self.port, self.host, self.token, self.rate = port, host, token, rate
        self.report = Report()
        self.numbers = itertools.count(1)
        self.prefix = secrets.token_hex(4).upper()
        self.lock, self.over = threading.Lock(), threading.Event()
        kinds = [True] * keeping + [False] * fresh
        self.threads = [threading.Thread(target=self._client, args=(kept,), daemon=True) for kept in kinds]

    def __enter__(self):
        """Begin."""
        for thread in self.threads:
            thread.start()
        return self

    def __exit__(self, *_error):
        """End, with every request answered or failed."""
        self.over.set()
        for thread in self.threads:
            thread.join(self.patience * 2)

    def _client(self, kept):
        connection, due = None, time.monotonic()
        for turn in itertools.count():
            due += 1 / self.rate
            if self.over.wait(max(0, due - time.monotonic())):
                break
            connection = self._request(connection, turn)
            if not kept:
                connection = self._close(connection)
        self._close(connection)

    def _request(self, connection, turn):
        """Send one request, on the connection or a new one; return the connection if it may be kept."""
        if connection is None:
            connection = HostConnection(self.port, self.host, self.patience)
        method, path, body = self._next(turn)
        headers = {"Host": self.host, "Authorization": f"Bearer {self.token}", "Content-Type": "application/json"}
        began = time.monotonic()
        try:
            connection.request(method, path, json.dumps(body) if body else None, headers)
            response = connection.getresponse()
            data = response.read()
        except (OSError, http.client.HTTPException) as error:
            self._note(time.monotonic() - began, (method, path), f"{type(error).__name__}: {error}")
            return self._close(connection)
        self._note(time.monotonic() - began, (method, path), response.status, body, data)
        return connection

    def _next(self, turn):
        if turn % WRITES_EVERY:
            return "GET", READS[turn % len(READS)], None
        sku = f"{self.prefix}-{next(self.numbers)}"
        return "POST", "/api/products", {"sku": sku, "name": "Load", "price": 100, "currency": "EUR"}

    def _note(self, seconds, asked, status, body=None, data=b""):
        method, path = asked
        with self.lock:
            self.report.slowest = max(self.report.slowest, seconds)
            if status != (200 if method == "GET" else 201):
                moment = time.strftime("%H:%M:%S", time.gmtime())
                self.report.failures.append(f"{moment} {method} {path}: {status} after {seconds:.2f} s {data[:200]!r}")
                return
            self.report.answers[method, status] += 1
            if body:
                self.report.created.append(body["sku"])
            elif path == "/health/version":
                self.report.releases[json.loads(data)["release"]] += 1

    def _close(self, connection):
        if connection:
            connection.close()
