"""Requests that two servers could parse differently: rejected or normalised, never taken for two."""

import contextlib
import secrets
import socket
import ssl

import h2.config
import h2.connection
import h2.events
import pytest

from tests.support.stack.client import connect_tls
from tests.support.stack.server import HOST

TIMEOUT_S = 3
MARK = f"smuggled-{secrets.token_hex(6)}"  # in the path of each hidden request
HEAD = f"Host: {HOST}\r\n"
SMUGGLED = f"GET /{MARK} HTTP/1.1\r\n{HEAD}\r\n"

# Headers and body of a POST; {} is the hidden request.
AMBIGUOUS = {
    "CL.TE": ("Content-Length: 6\r\nTransfer-Encoding: chunked\r\n", "0\r\n\r\n{}"),
    "TE.CL": ("Transfer-Encoding: chunked\r\nContent-Length: 4\r\n", f"{len(SMUGGLED):x}\r\n{{}}\r\n0\r\n\r\n"),
    "TE.TE": ("Transfer-Encoding: chunked\r\nTransfer-Encoding: identity\r\n", "0\r\n\r\n{}"),
    "TE with a tab": ("Transfer-Encoding:\tchunked, identity\r\n", "0\r\n\r\n{}"),
    "TE with a space before the colon": ("Transfer-Encoding : chunked\r\nContent-Length: 0\r\n", "{}"),
    "xchunked": ("Transfer-Encoding: xchunked\r\nContent-Length: 0\r\n", "{}"),
    "TE in HTTP/1.0": ("Transfer-Encoding: chunked\r\n", "0\r\n\r\n{}"),
    "duplicate length": ("Content-Length: 0\r\nContent-Length: 30\r\n", "{}"),
    "the same length twice": ("Content-Length: 0\r\nContent-Length: 0\r\n", "{}"),
    "a list of lengths": ("Content-Length: 0, 30\r\n", "{}"),
    "a length with a sign": ("Content-Length: +0\r\n", "{}"),
    "a negative length": ("Content-Length: -1\r\n", "{}"),
    "obs-fold": ("X-Folded: a\r\n Content-Length: 30\r\n", "{}"),
    "obs-fold of a length": ("Content-Length:\r\n 0\r\n", "{}"),
    "a space before the colon": ("Content-Length : 0\r\n", "{}"),
    "a NUL in a header": ("X-A: a\0b\r\nContent-Length: 0\r\n", "{}"),
    "a bare CR in a header": ("X-A: a\rContent-Length: 30\r\n", "{}"),
    "two hosts": ("Host: evil.example\r\nContent-Length: 0\r\n", "{}"),
    "a chunk's size with a sign": ("Transfer-Encoding: chunked\r\n", "+0\r\n\r\n{}"),
    "a chunk's size in 0x": ("Transfer-Encoding: chunked\r\n", "0x0\r\n\r\n{}"),
    "a chunk ended by a bare LF": ("Transfer-Encoding: chunked\r\n", "1\na\n0\n\n{}"),
    "a chunk longer than it says": ("Transfer-Encoding: chunked\r\n", "1\r\nabc\r\n0\r\n\r\n{}"),
}


def read_until_closed(connection):
    """Return everything received until the other side closes or times out."""
    received = b""
    with contextlib.suppress(TimeoutError, ConnectionResetError):
        while part := connection.recv(65536):
            received += part
    return received


@pytest.mark.guarantee(
    "Requests that two servers could parse differently are rejected, and hidden requests never reach the application"
)
@pytest.mark.parametrize("name", AMBIGUOUS)
def test_an_ambiguous_request_is_rejected(server, name):
    """An ambiguous request gets exactly one response, 400 or 501, and the connection is closed."""
    head, body = AMBIGUOUS[name]
    version = "1.0" if "1.0" in name else "1.1"
    request = f"POST /api/products HTTP/{version}\r\n{HEAD}{head}\r\n{body.format(SMUGGLED)}"
    with connect_tls(server.https, HOST, TIMEOUT_S) as connection:
        connection.sendall(request.encode())
        received = read_until_closed(connection)
    assert received.count(b"HTTP/1.1 ") == 1, received
    assert received.split()[1] in {b"400", b"501"}, received
    assert b"Connection: close" in received


@pytest.mark.parametrize("name", ["header lines", "all lines"])
def test_bare_lf_lines_are_normalised(server, name):
    """Nginx accepts LF as the end of a line (RFC 9112, 2.2 allows it) and sends CRLF: one request stays one."""
    first = f"GET /health?1 HTTP/1.1\r\nHost: {HOST}\nX-A: a\nContent-Length: 0\n\n"
    request = f"{first}GET /health?2 HTTP/1.1\r\n{HEAD}Connection: close\r\n\r\n"
    if name == "all lines":
        request = request.replace("\r\n", "\n")
    with connect_tls(server.https, HOST, TIMEOUT_S) as connection:
        connection.sendall(request.encode())
        received = read_until_closed(connection)
    assert received.count(b"HTTP/1.1 ") == received.count(b"HTTP/1.1 200") == 2, received


def h2_status(port, headers, body=b""):
    """Send an HTTP/2 request without validation and return its status, or "refused"."""
    config = h2.config.H2Configuration(
        validate_outbound_headers=False, normalize_outbound_headers=False, validate_inbound_headers=False
    )
    protocol = h2.connection.H2Connection(config)
    with connect_h2(port) as connection:
        protocol.initiate_connection()
        protocol.send_headers(1, headers, end_stream=not body)
        if body:
            protocol.send_data(1, body, end_stream=True)
        connection.sendall(protocol.data_to_send())
        return read_status(connection, protocol)


def connect_h2(port):
    """Connect with TLS and negotiate HTTP/2."""
    context = ssl.create_default_context()
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    context.set_alpn_protocols(["h2"])
    plain = socket.create_connection(("127.0.0.1", port), TIMEOUT_S)
    connection = context.wrap_socket(plain, server_hostname=HOST)
    assert connection.selected_alpn_protocol() == "h2"
    return connection


def read_status(connection, protocol):
    """Read until a status or an error arrives."""
    while part := connection.recv(65536):
        for event in protocol.receive_data(part):
            if isinstance(event, h2.events.ResponseReceived):
                return int(dict(event.headers)[b":status"])
            if isinstance(event, h2.events.StreamReset | h2.events.ConnectionTerminated):
                return "refused"
        connection.sendall(protocol.data_to_send())
    return "refused"


START = [(":method", "POST"), (":scheme", "https"), (":authority", HOST), (":path", "/api/products")]
DOWNGRADED = {
    "a length that is too small": ([*START, ("content-length", "0")], b"{}"),
    "a length that is too large": ([*START, ("content-length", "3000")], b"{}"),
    "two lengths": ([*START, ("content-length", "5"), ("content-length", "0")], b"aaaaa"),
    "transfer-encoding": ([*START, ("transfer-encoding", "chunked")], b"0\r\n\r\n{}"),
    "a line break in a value": ([*START, ("x-a", "a\r\nTransfer-Encoding: chunked")], b"0\r\n\r\n{}"),
    "a line break in a name": ([*START, ("x-a: b\r\nx-c", "d")], b"{}"),
    "a line break in the path": ([*START[:3], (":path", "/a HTTP/1.1\r\nHost: b\r\n\r\n{}")], b""),
    "a space in the method": ([(":method", "GET /{} HTTP/1.1"), *START[1:]], b""),
    "two paths": ([*START, (":path", "/{}")], b""),
    "another host": ([*START, ("host", "evil.example")], b""),
    "no path": (START[:3], b""),
}


@pytest.mark.guarantee(
    "Requests that two servers could parse differently are rejected, and hidden requests never reach the application"
)
@pytest.mark.parametrize("name", DOWNGRADED)
def test_http2_cannot_smuggle_into_http1(server, name):
    """An HTTP/2 request that HTTP/1.1 would parse differently is rejected; the next request succeeds."""
    headers, body = DOWNGRADED[name]
    headers = [(key, value.replace("{}", MARK)) for key, value in headers]
    assert h2_status(server.https, headers, body.replace(b"{}", SMUGGLED.encode())) in {400, 421, "refused"}
    assert h2_status(server.https, [(":method", "GET"), *START[1:3], (":path", "/health")]) == 200


@pytest.mark.guarantee(
    "Requests that two servers could parse differently are rejected, and hidden requests never reach the application"
)
def test_no_hidden_request_reached_the_application(server):
    """The application has seen none of the requests hidden above."""
    logs = server.compose("logs", "--no-log-prefix", "--no-color", f"web-{server.status()['active_colour']}").stdout
    assert "/health" in logs
    assert MARK not in logs
