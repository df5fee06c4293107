"""Requests that two servers could read differently: refused, or read the one way, and never is one taken for two."""

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

LIMIT = 3  # seconds
MARK = f"smuggled-{secrets.token_hex(6)}"  # in the address of each request that must never be seen
HEAD = f"Host: {HOST}\r\n"
SMUGGLED = f"GET /{MARK} HTTP/1.1\r\n{HEAD}\r\n"

# The head of a POST, and its body; {} is the request that must never be seen.
REFUSED = {
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


def until_closed(connection):
    """Return all that comes until the other side closes, or says nothing more."""
    received = b""
    with contextlib.suppress(TimeoutError, ConnectionResetError):
        while part := connection.recv(65536):
            received += part
    return received


@pytest.mark.parametrize("name", REFUSED)
def test_an_ambiguous_request_is_refused(server, name):
    """What servers read differently gets one answer, 400 or 501, and the connection is closed."""
    head, body = REFUSED[name]
    version = "1.0" if "1.0" in name else "1.1"
    request = f"POST /api/products HTTP/{version}\r\n{HEAD}{head}\r\n{body.format(SMUGGLED)}"
    with connect_tls(server.https, HOST, LIMIT) as connection:
        connection.sendall(request.encode())
        received = until_closed(connection)
    assert received.count(b"HTTP/1.1 ") == 1, received
    assert received.split()[1] in {b"400", b"501"}, received
    assert b"Connection: close" in received


@pytest.mark.parametrize("name", ["header lines", "all lines"])
def test_lines_that_end_in_a_bare_lf_are_read_one_way(server, name):
    """Nginx takes LF for the end of a line (RFC 9112, 2.2, allows it), and passes on CRLF: one request stays one."""
    first = f"GET /health?1 HTTP/1.1\r\nHost: {HOST}\nX-A: a\nContent-Length: 0\n\n"
    request = f"{first}GET /health?2 HTTP/1.1\r\n{HEAD}Connection: close\r\n\r\n"
    if name == "all lines":
        request = request.replace("\r\n", "\n")
    with connect_tls(server.https, HOST, LIMIT) as connection:
        connection.sendall(request.encode())
        received = until_closed(connection)
    assert received.count(b"HTTP/1.1 ") == received.count(b"HTTP/1.1 200") == 2, received


def h2_answer(port, headers, body=b""):
    """Send a request by HTTP/2, whatever it says, and return the status, or the name of the error that ends it."""
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
        return first_word(connection, protocol)


def connect_h2(port):
    """Connect by TLS and agree on HTTP/2."""
    context = ssl.create_default_context()
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    context.set_alpn_protocols(["h2"])
    plain = socket.create_connection(("127.0.0.1", port), LIMIT)
    connection = context.wrap_socket(plain, server_hostname=HOST)
    assert connection.selected_alpn_protocol() == "h2"
    return connection


def first_word(connection, protocol):
    """Read until there is a status or an error."""
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


@pytest.mark.parametrize("name", DOWNGRADED)
def test_http2_smuggles_nothing_into_http1(server, name):
    """What HTTP/2 can carry and HTTP/1.1 reads otherwise is refused, and the next request is answered as itself."""
    headers, body = DOWNGRADED[name]
    headers = [(key, value.replace("{}", MARK)) for key, value in headers]
    assert h2_answer(server.https, headers, body.replace(b"{}", SMUGGLED.encode())) in {400, 421, "refused"}
    assert h2_answer(server.https, [(":method", "GET"), *START[1:3], (":path", "/health")]) == 200


def test_nothing_of_it_reached_the_application(server):
    """Of all that was hidden in the requests above, the application has seen nothing."""
    logs = server.compose("logs", "--no-log-prefix", "--no-color", f"web-{server.status()['active_colour']}").stdout
    assert "/health" in logs
    assert MARK not in logs
