"""What caches outside the application may keep: nothing that does not say so, and what does no longer than said."""

import re
import time

from flask import Flask, Response

SHARED_SECONDS = re.compile(r"\bs-maxage=0*([1-9]\d*)")
NOT_SHARED = re.compile(r"\b(private|no-store|no-cache)\b")  # Nginx would take X-Accel-Expires for the last word


def init_app(app: Flask) -> None:
    """Look at each answer on its way out."""
    app.after_request(_keep_from_caches)


def _keep_from_caches(response: Response) -> Response:
    """Let nothing be stored that did not say it may be.

    Nginx counts in whole seconds and keeps what may live for one until the next has ended, for up to two; as the moment
    at which it ends, it is never more than what was said.
    https://nginx.org/en/docs/http/ngx_http_proxy_module.html#proxy_cache_valid
    """
    said = response.headers.setdefault("Cache-Control", "no-store")
    shared = SHARED_SECONDS.search(said)
    if shared and response.status_code in {200, 304} and not NOT_SHARED.search(said):
        response.headers["X-Accel-Expires"] = f"@{int(time.time()) + int(shared[1]) - 1}"
    return response
