"""A minimal WSGI application that returns the bytes of the product list."""

import os
import urllib.request

with urllib.request.urlopen(os.environ["BODY_URL"], timeout=10) as response:  # noqa: S310 - the stack's own nginx
    BODY = response.read()
HEADERS = [("Content-Type", "application/json"), ("Content-Length", str(len(BODY)))]


def application(_environ, start_response):
    """Return the same response to every request."""
    start_response("200 OK", HEADERS)
    return [BODY]
