"""A constant load of reads and writes over persistent and new connections; it counts failures."""

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
TIMEOUT_S = 10
SUCCESS = {"GET": 200, "PATCH": 200, "POST": 201}
JSON = {"Content-Type": "application/json"}


class Request(NamedTuple):
    """What a client sends."""

    method: str
    path: str
    body: dict | None = None
    headers: dict = JSON


@dataclass
class Report:
    """The results of a load: responses by method and status, failures, and times as (start, seconds).

    `created` has the SKUs of successful POSTs, `changed` the bodies of successful PATCHes by path.
    """

    responses: Counter = field(default_factory=Counter)
    releases: Counter = field(default_factory=Counter)
    failures: list = field(default_factory=list)
    times: list = field(default_factory=list)
    created: list = field(default_factory=list)
    changed: dict = field(default_factory=dict)

    @property
    def slowest(self):
        """The duration of the slowest request."""
        return max((seconds for _, seconds in self.times), default=0.0)

    @property
    def total(self):
        """The number of requests."""
        return sum(self.responses.values()) + len(self.failures)

    def __str__(self):
        """Return the results in one line."""
        responses = ", ".join(f"{method} {status}: {number:,}" for (method, status), number in self.responses.items())
        return f"{self.total:,} requests ({responses}), {len(self.failures)} failed, slowest {self.slowest:.2f} s"


class Load:
    """Clients that each send requests at a fixed rate to a host's TLS port; `choose` returns the nth Request."""

    timeout = TIMEOUT_S

    def __init__(self, port, host, token, *, keep_alive=6, fresh=2, rate=20, choose=None):
        self.port, self.host, self.token, self.rate = port, host, token, rate
        self.choose = choose or light()
        self.report = Report()
        self.lock, self.stopped = threading.Lock(), threading.Event()
        persistent = [True] * keep_alive + [False] * fresh
        self.threads = [threading.Thread(target=self._client, args=(kept,), daemon=True) for kept in persistent]

    def __enter__(self):
        """Start the clients."""
        for thread in self.threads:
            thread.start()
        return self

    def __exit__(self, *_error):
        """Stop after every request has its response or failure."""
        self.stopped.set()
        for thread in self.threads:
            thread.join(self.timeout * 2)

    def _client(self, kept):
        connection, due = None, time.monotonic()
        for turn in itertools.count():
            due += 1 / self.rate
            if self.stopped.wait(max(0, due - time.monotonic())):
                break
            connection = self._request(connection, turn)
            if not kept:
                connection = self._close(connection)
        self._close(connection)

    def _request(self, connection, turn):
        """Send one request on the connection or a new one; return the connection if it stays open."""
        if connection is None:
            connection = HostConnection(self.port, self.host, self.timeout)
        request = self.choose(turn)
        headers = {"Host": self.host, "Authorization": f"Bearer {self.token}", **request.headers}
        body = json.dumps(request.body) if request.body else None
        began = time.monotonic()
        try:
            connection.request(request.method, request.path, body, headers)
            response = connection.getresponse()
            data = response.read()
        except (OSError, http.client.HTTPException) as error:
            self._record(request, began, f"{type(error).__name__}: {error}")
            return self._close(connection)
        self._record(request, began, response.status, data)
        return connection

    def _record(self, request, began, status, data=b""):
        seconds = time.monotonic() - began
        with self.lock:
            self.report.times.append((began, seconds))
            if status != SUCCESS[request.method]:
                start_time = time.strftime("%H:%M:%S", time.gmtime())
                text = f"{request.method} {request.path}: {status} after {seconds:.2f} s {data[:200]!r}"
                self.report.failures.append(f"{start_time} {text}")
                return
            self.report.responses[request.method, status] += 1
            self._record_success(request, data)

    def _record_success(self, request, data):
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
    """Return a mix of cacheable reads and an occasional new product."""
    prefix, numbers = secrets.token_hex(4).upper(), itertools.count(1)

    def choose(turn):
        if turn % WRITES_EVERY:
            return Request("GET", READS[turn % len(READS)])
        sku = f"{prefix}-{next(numbers)}"
        return Request("POST", "/api/products", {"sku": sku, "name": "Load", "price": 100, "currency": "EUR"})

    return choose
