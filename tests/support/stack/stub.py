"""Stands in for the application behind nginx and returns what the query asks for.

?status=404 and repeated ?header=Name:Value set the response, ?then=500 a bare error from the second request on,
?wait=0.5 a delay in seconds. The JSON body has the request's number, method, target, headers and length.
"""

import itertools
import json
import sys
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import parse_qs, urlsplit

numbers, seen = itertools.count(1), set()


class Stub(BaseHTTPRequestHandler):
    """Handles one request."""

    def respond(self):
        """Respond as the query says."""
        length = len(self.rfile.read(int(self.headers.get("Content-Length") or 0)))
        query = parse_qs(urlsplit(self.path).query)
        time.sleep(float(query.get("wait", ["0"])[0]))
        request = {"number": next(numbers), "method": self.command, "target": self.path, "length": length}
        body = json.dumps(request | {"headers": self.headers.items()}).encode()
        if "then" in query and self.path in seen:
            query = {"status": query["then"]}
        seen.add(self.path)
        status = int(query.get("status", ["200"])[0])
        self.send_response(status)
        for header in query.get("header", []):
            self.send_header(*header.split(":", 1))
        if status not in {204, 304}:
            self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        if self.command != "HEAD" and status not in {204, 304}:
            self.wfile.write(body)

    do_GET = do_HEAD = do_POST = do_PUT = do_DELETE = respond  # noqa: N815 - http.server's names

    def log_message(self, *_arguments):
        """Log nothing."""


ThreadingHTTPServer(("", int(sys.argv[1])), Stub).serve_forever()
