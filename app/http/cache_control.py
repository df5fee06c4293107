"""Cache headers for caches in front of the application: by default they must not store a response."""

import re
import time

from flask import Flask, Response

SHARED_MAX_AGE = re.compile(r"\bs-maxage=0*([1-9]\d*)")
NOT_SHARED = re.compile(r"\b(private|no-store|no-cache)\b")  # nginx prefers X-Accel-Expires to these directives


def init_app(app: Flask) -> None:
    """Complete the headers of each response."""
    app.after_request(_set_cache_headers)


def _set_cache_headers(response: Response) -> Response:
    """Default to no-store; give nginx the end of a shared response's life as a point in time.

    nginx counts whole seconds: with s-maxage=1 alone it would serve a response for up to two.
    https://nginx.org/en/docs/http/ngx_http_proxy_module.html#proxy_cache_valid
    """
    cache_control = response.headers.setdefault("Cache-Control", "no-store")
    shared = SHARED_MAX_AGE.search(cache_control)
    if shared and response.status_code in {200, 304} and not NOT_SHARED.search(cache_control):
        response.headers["X-Accel-Expires"] = f"@{int(time.time()) + int(shared[1]) - 1}"
    return response
