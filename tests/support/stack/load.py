"""A constant load of reads and writes, over connections that are kept and over fresh ones; it counts what fails."""

import http.client
import itertools
import json
import secrets
import threading
import time
from collections import Counter
from dataclasses import dataclass, field
from typing import NamedTuple

from tests.support.stack.client import HostConnection

READS = ("/api/products?limit=5", "/api/products?sort=-price&limit=5", "/health/version")
WRITES_EVERY = 5
PATIENCE = 10
GOOD = {"GET": 200, "PATCH": 200, "POST": 201}
JSON = {"Content-Type": "application/json"}


class Request(NamedTuple):
    """What a client sends."""

    method: str
    path: str
    body: dict | None = None
    headers: dict = JSON


@dataclass
class Report:
    """What a load has seen: answers by method and status, failures, and how long each took, as (moment, seconds).

    Of the writes that were answered well, `created` are the SKUs of POST, and `changed` the bodies of PATCH by path.
    """

    answers: Counter = field(default_factory=Counter)
    releases: Counter = field(default_factory=Counter)
    failures: list = field(default_factory=list)
    times: list = field(default_factory=list)
    created: list = field(default_factory=list)
    changed: dict = field(default_factory=dict)

    @property
    def slowest(self):
        """Return how long the slowest request took."""
        return max((seconds for _, seconds in self.times), default=0.0)

    @property
    def total(self):
        """Return how many requests were sent."""
        return sum(self.answers.values()) + len(self.failures)

    def __str__(self):
        """Return the counts in one line."""
        answers = ", ".join(f"{method} {status}: {number:,}" for (method, status), number in self.answers.items())
        return f"{self.total:,} requests ({answers}), {len(self.failures)} failed, slowest {self.slowest:.2f} s"


class Load:
    """Clients that each send a fixed number of requests a second to a host's TLS port, until they are stopped.

    What they send, `choose` says: the Request of a client's turn.
    """

    patience = PATIENCE

    def __init__(self, port, host, token, *, keeping=6, fresh=2, rate=20, choose=None):
        self.port, self.host, self.token, self.rate = port, host, token, rate
        self.choose = choose or light()
        self.report = Report()
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
        request = self.choose(turn)
        headers = {"Host": self.host, "Authorization": f"Bearer {self.token}", **request.headers}
        body = json.dumps(request.body) if request.body else None
        began = time.monotonic()
        try:
            connection.request(request.method, request.path, body, headers)
            response = connection.getresponse()
            data = response.read()
        except (OSError, http.client.HTTPException) as error:
            self._note(request, began, f"{type(error).__name__}: {error}")
            return self._close(connection)
        self._note(request, began, response.status, data)
        return connection

    def _note(self, request, began, status, data=b""):
        seconds = time.monotonic() - began
        with self.lock:
            self.report.times.append((began, seconds))
            if status != GOOD[request.method]:
                moment = time.strftime("%H:%M:%S", time.gmtime())
                what = f"{request.method} {request.path}: {status} after {seconds:.2f} s {data[:200]!r}"
                self.report.failures.append(f"{moment} {what}")
                return
            self.report.answers[request.method, status] += 1
            self._keep(request, data)

    def _keep(self, request, data):
        if request.method == "POST":
            self.report.created.append(request.body["sku"])
        elif request.method == "PATCH":
            self.report.changed[request.path] = request.body
        elif request.path == "/health/version":
            self.report.releases[json.loads(data)["release"]] += 1

    def _close(self, connection):
        if connection:
            connection.close()


def light():
    """Return a choice of reads that are seldom new, and of now and then a new product."""
    prefix, numbers = secrets.token_hex(4).upper(), itertools.count(1)

    def choose(turn):
        if turn % WRITES_EVERY:
            return Request("GET", READS[turn % len(READS)])
        sku = f"{prefix}-{next(numbers)}"
        return Request("POST", "/api/products", {"sku": sku, "name": "Load", "price": 100, "currency": "EUR"})

    return choose
