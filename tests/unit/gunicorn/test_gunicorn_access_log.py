"""The edge's access log speaks as the application's does, and a line fits into what a pipe takes whole."""

import json
import re
import select

from tests.support.helpers import ROOT

SNIPPET = (ROOT / "nginx/snippets/access-log.conf").read_text(encoding="utf-8")
FORMAT = "".join(re.findall(r"^\s+'(.*?)';?$", SNIPPET, re.MULTILINE))
EVERYWHERE = {"time", "level", "logger", "message", "request_id", "release"}
OF_A_REQUEST = {"method", "path", "status", "duration_s", "bytes", "client"}
# The longest that each may be, as it is written: a quote or a backslash takes two characters.
LONGEST = {"asked_path": 2000, "asked_words": 400, "asked_method": 20, "id": 64, "upstream_http_x_release": 400}
LONGEST |= {"upstream_response_time": 40, "upstream_status": 20, "remote_addr": 45}
NUMBERS = {"answered", "request_time", "body_bytes_sent"}


def line(length):
    """Return a line with every variable as long as LENGTH says of it."""
    return re.sub(r"\$(\w+)", lambda match: ("1" if match[1] in NUMBERS else "x") * length(match[1]), FORMAT)


def test_schema():
    """A line is one JSON object with all the names that the application's lines of a request have."""
    assert json.loads(line(lambda _: 1)).keys() >= EVERYWHERE | OF_A_REQUEST


def test_bounds():
    """What a client may make as long as it likes is cut off."""
    assert "[A-Z]{1,20}" in SNIPPET
    assert "[!->@-~]{1,1000}" in SNIPPET
    assert ".{200}" in SNIPPET


def test_fits_into_a_pipe():
    """The longest line is written in one piece, or those of two workers could get mixed up."""
    assert len(line(lambda name: LONGEST.get(name, 30))) < select.PIPE_BUF
