"""Clients that write continuously and record each acknowledged write."""

import contextlib
import http.client
import itertools
import secrets
import threading
import time

from tests.support.helpers import wait_for


class Writer:
    """Writers of products; `moments` has the time of each acknowledged (201) SKU, in order, `refused` the others."""

    def __init__(self, server, token, clients=4):
        self.server, self.token = server, token
        self.prefix = secrets.token_hex(4).upper()
        self.numbers = itertools.count(1)
        self.moments, self.refused = {}, []
        self.over = threading.Event()
        self.threads = [threading.Thread(target=self._write, daemon=True) for _ in range(clients)]

    def __enter__(self):
        """Start the clients."""
        for thread in self.threads:
            thread.start()
        return self

    def __exit__(self, *_error):
        """Stop the clients after their current requests."""
        self.over.set()
        for thread in self.threads:
            thread.join(30)

    def write(self):
        """Write one product; return its SKU if it was acknowledged."""
        sku = f"{self.prefix}-{next(self.numbers)}"
        product = {"sku": sku, "name": f"Written {self.prefix}", "price": 100, "currency": "EUR"}
        status = 0
        with contextlib.suppress(OSError, http.client.HTTPException):
            status = self.server.request("/api/products", "POST", json=product, token=self.token, timeout=10).status
        if status != 201:
            self.refused.append(sku)
            return None
        self.moments[sku] = time.time()
        return sku

    @property
    def acknowledged(self):
        """Return the acknowledged SKUs."""
        return list(self.moments)

    def more(self, number=30, seconds=60):
        """Wait for more acknowledged writes."""
        wanted = len(self.acknowledged) + number
        wait_for(lambda: len(self.acknowledged) >= wanted, seconds=seconds)

    def _write(self):
        while not self.over.is_set():
            if not self.write():
                self.over.wait(0.05)  # no busy loop while the server is unavailable


def lost(server, writer):
    """Return the acknowledged SKUs that do not exist exactly once."""
    stored = skus(server, writer.prefix)
    return [sku for sku in writer.acknowledged if stored.count(sku) != 1]


def skus(server, prefix):
    """Return the SKUs in the database, in insertion order."""
    return server.sql(f"SELECT sku FROM products WHERE sku LIKE '{prefix}-%' ORDER BY id")


def listed(server, prefix):
    """Return the SKUs that the API lists, sorted."""
    items = server.request(f"/api/products?q={prefix}&limit=100").json["items"]
    return sorted(item["sku"] for item in items)


def whole_second():
    """Wait for the start of the next second and return it as Unix time."""
    second = int(time.time()) + 1
    wait_for(lambda: time.time() >= second)
    return second
