"""HTTP requests to the stack, with responses that are read completely."""

import http.client
import json as json_module
import socket
import ssl
import time
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class Response:
    """A response, and the seconds it took."""

    status: int
    headers: Any
    body: bytes
    seconds: float

    @property
    def json(self):
        """The parsed body."""
        return json_module.loads(self.body)

    @property
    def request_id(self):
        """The request id, as in the logs."""
        return self.headers["X-Request-ID"]


TLS = ssl._create_unverified_context()  # noqa: S323 - a self-signed placeholder


class HostConnection(http.client.HTTPSConnection):
    """A TLS connection to a local port with another host name (SNI)."""

    def __init__(self, port, host, timeout):
        super().__init__(host, port, timeout=timeout, context=TLS)

    def connect(self):
        """Connect to the loopback address."""
        self.sock = connect_tls(self.port, self.host, self.timeout)


def send_request(port, path, method="GET", **options):
    """Send a request on a new connection."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=options.pop("timeout", 30))
    return _send(connection, path, method, **options)


def send_tls_request(port, path, method="GET", *, host, headers=(), **options):
    """Send a request on a new TLS connection, without verifying the certificate."""
    connection = HostConnection(port, host, options.pop("timeout", 30))
    return _send(connection, path, method, headers={"Host": host, **dict(headers)}, **options)


def _send(connection, path, method, *, json=None, headers=(), token=None):
    start = time.monotonic()
    sent = dict(headers)
    if token:
        sent["Authorization"] = f"Bearer {token}"
    if json is not None:
        sent.setdefault("Content-Type", "application/json")
    try:
        connection.request(method, path, None if json is None else json_module.dumps(json), sent)
        return _read(connection.getresponse(), start)
    finally:
        connection.close()


def raw(port, data):
    """Send bytes and read one response."""
    with socket.create_connection(("127.0.0.1", port), timeout=30) as connection:
        return _exchange(connection, data)


def raw_tls(port, data, host):
    """Send bytes over TLS and read one response."""
    with connect_tls(port, host) as connection:
        return _exchange(connection, data)


def connect_tls(port, host, timeout=30):
    """Connect to a host over TLS."""
    plain = socket.create_connection(("127.0.0.1", port), timeout)
    plain.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    return TLS.wrap_socket(plain, server_hostname=host)


def _exchange(connection, data):
    start = time.monotonic()
    connection.sendall(data)
    response = http.client.HTTPResponse(connection)
    try:
        response.begin()
        return _read(response, start)
    finally:
        response.close()


def _read(response, start):
    body = response.read()
    return Response(response.status, response.headers, body, time.monotonic() - start)


def is_problem(response, status):
    """Whether the response is a problem document (RFC 9457) with this status and its request id."""
    return (
        response.status == response.json["status"] == status
        and response.headers["Content-Type"] == "application/problem+json"
        and response.json["request_id"] == response.request_id
    )
