"""A small HTTP client: one connection for each request."""

import http.client
import itertools
import json
import time
from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any

numbers = itertools.count(1)


@dataclass(frozen=True)
class Response:
    """An HTTP response and its duration."""

    status: int
    headers: http.client.HTTPMessage
    body: bytes
    seconds: float

    @property
    def json(self) -> Any:
        """Return the body, parsed as JSON."""
        return json.loads(self.body)

    @property
    def cache(self) -> str:
        """Return the Cache-Status of the application's cache."""
        return self.headers["Cache-Status"].removeprefix("app; ")


def send_request(
    port: int,
    method: str,
    path: str,
    body: Any = None,
    headers: dict[str, str] | None = None,
    *,
    timeout: float = 20,
) -> Response:
    """Send a request; encode a dict as JSON, and send an iterable of bytes in chunks."""
    headers = dict(headers or {})
    if isinstance(body, dict):
        body = json.dumps(body).encode()
        headers.setdefault("Content-Type", "application/json")
    chunked = isinstance(body, Iterable) and not isinstance(body, bytes)
    began = time.monotonic()
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=timeout)
    try:
        connection.request(method, path, body, headers, encode_chunked=chunked)
        response = connection.getresponse()
        return Response(response.status, response.headers, response.read(), time.monotonic() - began)
    finally:
        connection.close()


def product(**changes: Any) -> dict[str, Any]:
    """Return a valid product with a unique SKU."""
    number = next(numbers)
    good = {"sku": f"SKU-{number}", "name": f"Product {number}", "description": "", "price": 1000, "currency": "EUR"}
    return good | changes


def bearer(secret: str) -> dict[str, str]:
    """Return the Authorization header for a token."""
    return {"Authorization": f"Bearer {secret}"}


def together(count: int, act: Callable[[int], Any]) -> list[Any]:
    """Call ACT with 0 to COUNT - 1 in parallel threads; return the results in this order."""
    with ThreadPoolExecutor(count) as pool:
        return list(pool.map(act, range(count)))
