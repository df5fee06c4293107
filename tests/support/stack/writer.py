"""Clients that write as fast as they are answered, and note what was answered 201, and when."""

import contextlib
import http.client
import itertools
import secrets
import threading
import time

from tests.support.helpers import wait_for


class Writer:
    """Writers of products; `moments` has when each SKU was answered 201, in order, and `refused` has the others."""

    def __init__(self, server, token, clients=4):
        self.server, self.token = server, token
        self.prefix = secrets.token_hex(4).upper()
        self.numbers = itertools.count(1)
        self.moments, self.refused = {}, []
        self.over = threading.Event()
        self.threads = [threading.Thread(target=self._write, daemon=True) for _ in range(clients)]

    def __enter__(self):
        """Begin."""
        for thread in self.threads:
            thread.start()
        return self

    def __exit__(self, *_error):
        """End, with every request answered or failed."""
        self.over.set()
        for thread in self.threads:
            thread.join(30)

    def write(self):
        """Write one product; return its SKU if it was acknowledged."""
        sku = f"{self.prefix}-{next(self.numbers)}"
        product = {"sku": sku, "name": f"Written {self.prefix}", "price": 100, "currency": "EUR"}
        status = 0
        with contextlib.suppress(OSError, http.client.HTTPException):
            status = self.server.ask("/api/products", "POST", json=product, token=self.token, timeout=10).status
        if status != 201:
            self.refused.append(sku)
            return None
        self.moments[sku] = time.time()
        return sku

    @property
    def acknowledged(self):
        """Return the SKUs that were answered 201."""
        return list(self.moments)

    def more(self, number=30, seconds=60):
        """Wait until so many more were acknowledged."""
        wanted = len(self.acknowledged) + number
        wait_for(lambda: len(self.acknowledged) >= wanted, seconds=seconds)

    def _write(self):
        while not self.over.is_set():
            if not self.write():
                self.over.wait(0.05)  # what is away is not asked without a pause


def lost(server, writer):
    """Return what was acknowledged and is not there, or not just once."""
    there = skus(server, writer.prefix)
    return [sku for sku in writer.acknowledged if there.count(sku) != 1]


def skus(server, prefix):
    """Return the SKUs that the database has, as the application's role sees them, in the order in which they came."""
    return server.sql(f"SELECT sku FROM products WHERE sku LIKE '{prefix}-%' ORDER BY id")


def listed(server, prefix):
    """Return the SKUs that users are shown, in any order."""
    items = server.ask(f"/api/products?q={prefix}&limit=100").json["items"]
    return sorted(item["sku"] for item in items)


def whole_second():
    """Wait for the next second to begin and return it, as Unix time."""
    second = int(time.time()) + 1
    wait_for(lambda: time.time() >= second)
    return second
