"""Requests over plain sockets, with answers that are read whole."""

import http.client
import json as json_module
import socket
import ssl
import time
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class Answer:
    """What came back, and after how many seconds."""

    status: int
    headers: Any
    body: bytes
    seconds: float

    @property
    def json(self):
        """Return the body's value."""
        return json_module.loads(self.body)

    @property
    def request_id(self):
        """Return the id by which the logs know the request."""
        return self.headers["X-Request-ID"]


TLS = ssl._create_unverified_context()  # noqa: S323 - the certificate is a placeholder, and is not what is tested


class HostConnection(http.client.HTTPSConnection):
    """A connection to a port of this machine, as to the host of that name: by TLS, which says the name first (SNI)."""

    def __init__(self, port, host, timeout):
        super().__init__(host, port, timeout=timeout, context=TLS)

    def connect(self):
        """Connect to this machine, whatever the name's address is."""
        self.sock = connect_tls(self.port, self.host, self.timeout)


def ask(port, path, method="GET", **options):
    """Send a request on a connection of its own."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=options.pop("timeout", 30))
    return _send(connection, path, method, **options)


def ask_tls(port, path, method="GET", *, host, headers=(), **options):
    """Send a request to a host by TLS, on a connection of its own; whose certificate it is does not matter."""
    connection = HostConnection(port, host, options.pop("timeout", 30))
    return _send(connection, path, method, headers={"Host": host, **dict(headers)}, **options)


def _send(connection, path, method, *, json=None, headers=(), token=None):
    began = time.monotonic()
    sent = dict(headers)
    if token:
        sent["Authorization"] = f"Bearer {token}"
    if json is not None:
        sent.setdefault("Content-Type", "application/json")
    try:
        connection.request(method, path, None if json is None else json_module.dumps(json), sent)
        return _read(connection.getresponse(), began)
    finally:
        connection.close()


def raw(port, data):
    """Send these bytes and read one answer."""
    with socket.create_connection(("127.0.0.1", port), timeout=30) as connection:
        return _exchange(connection, data)


def raw_tls(port, data, host):
    """Send these bytes to a host by TLS and read one answer."""
    with connect_tls(port, host) as connection:
        return _exchange(connection, data)


def connect_tls(port, host, timeout=30):
    """Connect to a host by TLS."""
    plain = socket.create_connection(("127.0.0.1", port), timeout)
    plain.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    return TLS.wrap_socket(plain, server_hostname=host)


def _exchange(connection, data):
    began = time.monotonic()
    connection.sendall(data)
    response = http.client.HTTPResponse(connection)
    try:
        response.begin()
        return _read(response, began)
    finally:
        response.close()


def _read(response, began):
    body = response.read()
    return Answer(response.status, response.headers, body, time.monotonic() - began)


def is_problem(answer, status):
    """Whether the answer is a problem document (RFC 9457) with this status, inside and out, and the request's id."""
    return (
        answer.status == answer.json["status"] == status
        and answer.headers["Content-Type"] == "application/problem+json"
        and answer.json["request_id"] == answer.request_id
    )
