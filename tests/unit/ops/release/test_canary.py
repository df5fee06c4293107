"""The canary: counting, judging, and what follows."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ops.errors import OpsError
from ops.release import canary
from ops.release.canary import CanaryPolicy, Count
from tests.support.helpers import ROOT
from tests.support.ops.faults import Killed


def line(upstream, status, upstream_s="0.004"):
    """Return a line of nginx's access log."""
    return json.dumps({"upstream": f"web-{upstream}", "status": status, "path": "/", "upstream_s": upstream_s})


def test_count():
    """Requests and 5xx responses are counted by colour; a 4xx is the client's error."""
    lines = [line("blue", 200), line("blue", 503), line("green", 404), "nginx: a notice", ""]
    assert canary.count(lines) == {"web-blue": Count(2, 1), "web-green": Count(1, 0)}


@pytest.mark.parametrize(("upstream_status", "errors"), [("503", 1), ("502, 503", 1), ("502, 200", 0), ("", 0)])
def test_stale_and_retried(upstream_status, errors):
    """A failure counts even if the client received a stale response; a successful retry does not."""
    kept = {"upstream": "web-blue", "status": 200, "upstream_s": "0.004", "upstream_status": upstream_status}
    assert canary.count([json.dumps(kept)]) == {"web-blue": Count(1, errors)}


@pytest.mark.parametrize("upstream_s", ["", "-"])
def test_redirects(upstream_s):
    """Responses of nginx itself, such as redirects, do not count."""
    assert canary.count([line("blue", 308, upstream_s), line("blue", 503)]) == {"web-blue": Count(1, 1)}


def test_fields():
    """Nginx logs the fields that are counted."""
    text = (ROOT / "nginx/snippets/access-log.conf").read_text(encoding="utf-8")
    assert '"status": $log_status' in text
    assert '"upstream": "$active_upstream"' in text
    assert '"upstream_s": "$upstream_response_time"' in text
    assert '"upstream_status": "$upstream_status"' in text


@pytest.mark.parametrize(
    "odd",
    [
        *['{"upstream": "web-blue", "sta', '{"upstream": "web-blue", "status": 000}', '{"upstream": "web-blue"}'],
        *['{"status": 500}', "{}", "[500]", "500"],
    ],
)
def test_invalid_lines(odd):
    """Truncated lines, the status 000 of an aborted request, and other lines are ignored."""
    assert canary.count([odd, line("blue", 200)]) == {"web-blue": Count(1, 0)}


@pytest.mark.parametrize(
    ("seen", "other"),
    [
        (Count(100, 1), Count()),  # within the budget
        (Count(100, 10), Count(100, 9)),  # the other one fails too: it is not the release
        (Count(19, 19), Count(100, 0)),  # too few to say
        (Count(), Count(100, 0)),
    ],
)
def test_within_budget(seen, other):
    """Only errors beyond the other colour's count, and only with enough requests."""
    canary.judge(seen, other, budget=1, min_requests=20)


@pytest.mark.parametrize(("seen", "other"), [(Count(100, 2), Count()), (Count(20, 1), Count(1000, 10))])
def test_budget_exceeded(seen, other):
    """A canary beyond its budget fails with both counts."""
    with pytest.raises(OpsError, match=r"1 %: \d+ errors in \d+ requests") as failure:
        canary.judge(seen, other, budget=1, min_requests=20)
    assert f"{other.errors} errors in {other.requests}" in str(failure.value)


@given(requests=st.integers(0, 50), data=st.data())
def test_error_rate(requests, data):
    """The error rate is between 0 and 100 %, also without requests."""
    errors = data.draw(st.integers(0, requests))
    assert 0 <= Count(requests, errors).error_rate <= 100


def test_success(shop):
    """A good canary ends with all traffic on the new release and no request lost."""
    shop.docker.log = "\n".join([line("blue", 200), line("green", 200)])
    shop.deploy(shop.fetched("second"), canary=CanaryPolicy(10, 6, 1))
    assert (shop.active_release, shop.running, shop.docker.lost) == ("second", ["second"], [])


def test_failure(shop, clock):
    """A failing canary is taken back before its time is over."""
    shop.docker.log = "\n".join([line("blue", 500)] * 20)
    with pytest.raises(OpsError, match="stopped at “canary”"):
        shop.deploy(shop.fetched("second"), canary=CanaryPolicy(10, 600, 1))
    assert (shop.active_release, shop.running, shop.docker.lost) == ("first", ["first"], [])
    assert clock.now < 60


def test_single_failure(shop):
    """At the end, a single failed request is enough to take it back."""
    shop.docker.log = line("blue", 500)
    with pytest.raises(OpsError, match="stopped at “canary”"):
        shop.deploy(shop.fetched("second"), canary=CanaryPolicy(10, 6, 1))
    assert shop.active_release == "first"


def test_no_requests(shop, capsys):
    """The output says when the canary received no request."""
    shop.deploy(shop.fetched("second"), canary=CanaryPolicy(10, 6, 1))
    assert "the canary received no request" in capsys.readouterr().out


def test_duration(shop, clock):
    """The canary is observed for the requested time."""
    before = clock.now
    shop.deploy(shop.fetched("second"), canary=CanaryPolicy(10, 300, 1))
    assert clock.now - before >= 300


def test_traffic_share(shop, at_step):
    """The canary gets the requested share, the old release the rest."""
    at_step("switch", Killed())
    with pytest.raises(Killed):
        shop.deploy(shop.fetched("second"), canary=CanaryPolicy(7, 6, 1))
    assert (shop.docker.nginx.colour, shop.docker.nginx.percent) == ("green", 7)
