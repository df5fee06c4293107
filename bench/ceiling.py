"""The least that a WSGI application can do: return the bytes of the product list."""

import os
import urllib.request

with urllib.request.urlopen(os.environ["BODY_URL"], timeout=10) as answer:  # noqa: S310 - the stack's own nginx
    BODY = answer.read()
HEADERS = [("Content-Type", "application/json"), ("Content-Length", str(len(BODY)))]


def application(_environ, start_response):
    """Answer every request alike."""
    start_response("200 OK", HEADERS)
    return [BODY]
