"""Stands in for the application behind Nginx, in the project's image: answers as asked, and tells what it got.

?status=404 and any number of ?header=Name:Value make the answer; ?then=500 makes it
a bare error from the second time on; ?wait=0.5 lets it take half a second. The body is
JSON: the number of the request, and its method, target, headers and length.
"""

import itertools
import json
import sys
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import parse_qs, urlsplit

numbers, seen = itertools.count(1), set()


class Stub(BaseHTTPRequestHandler):
    """One request."""

    def answer(self):
        """Answer as the query says."""
        length = len(self.rfile.read(int(self.headers.get("Content-Length") or 0)))
        asked = parse_qs(urlsplit(self.path).query)
        time.sleep(float(asked.get("wait", ["0"])[0]))
        got = {"number": next(numbers), "method": self.command, "target": self.path, "length": length}
        body = json.dumps(got | {"headers": self.headers.items()}).encode()
        if "then" in asked and self.path in seen:
            asked = {"status": asked["then"]}
        seen.add(self.path)
        status = int(asked.get("status", ["200"])[0])
        self.send_response(status)
        for header in asked.get("header", []):
            self.send_header(*header.split(":", 1))
        if status not in {204, 304}:
            self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        if self.command != "HEAD" and status not in {204, 304}:
            self.wfile.write(body)

    do_GET = do_HEAD = do_POST = do_PUT = do_DELETE = answer  # noqa: N815 - the names that http.server looks for

    def log_message(self, *_words):
        """Log nothing."""


ThreadingHTTPServer(("", int(sys.argv[1])), Stub).serve_forever()
