"""nginx's access log has the application's fields, and a line fits into an atomic write to a pipe."""

import json
import re
import select

from tests.support.helpers import ROOT

SNIPPET = (ROOT / "nginx/snippets/access-log.conf").read_text(encoding="utf-8")
FORMAT = "".join(re.findall(r"^\s+'(.*?)';?$", SNIPPET, re.MULTILINE))
COMMON_FIELDS = {"time", "level", "logger", "message", "request_id", "release"}
REQUEST_FIELDS = {"method", "path", "status", "duration_s", "bytes", "client"}
# The maximum length of each variable in the line; a quote or a backslash takes two characters.
LONGEST = {"log_path": 2000, "log_short_path": 400, "log_method": 20, "accepted_request_id": 64}
LONGEST |= {"upstream_http_x_release": 400}
LONGEST |= {"upstream_response_time": 40, "upstream_status": 20, "remote_addr": 45}
NUMBERS = {"log_status", "request_time", "body_bytes_sent"}


def line(length):
    """Return a line whose variables have the length that LENGTH returns for them."""
    return re.sub(r"\$(\w+)", lambda match: ("1" if match[1] in NUMBERS else "x") * length(match[1]), FORMAT)


def test_schema():
    """A line is one JSON object with every field of the application's request lines."""
    assert json.loads(line(lambda _: 1)).keys() >= COMMON_FIELDS | REQUEST_FIELDS


def test_bounds():
    """Fields whose length the client controls are truncated."""
    assert "[A-Z]{1,20}" in SNIPPET
    assert "[!->@-~]{1,1000}" in SNIPPET
    assert ".{200}" in SNIPPET


def test_fits_into_a_pipe():
    """The longest line fits into an atomic write, so that lines of two workers never interleave."""
    assert len(line(lambda name: LONGEST.get(name, 30))) < select.PIPE_BUF
