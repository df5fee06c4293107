"""Cases of rules/slo.yml."""

from tests.support.stack.alert_cases.case import NGINX, OTHER, UP, WEB, WEB_LABELS, Case

DURATION = "http_server_request_duration_seconds"
PROBE = 'http_request_method="GET", http_route="/health/ready"'
PRODUCTS = 'http_request_method="GET", http_route="/api/products"'
ACTIVE = 'nginx_active_upstream{job="active-upstream", instance="nginx:8004", upstream="web-blue"}'
GREEN = 'job="web", colour="green", instance="10.0.0.3:8000"'


def responses(succeeded, failed, labels=PRODUCTS):
    """Return the series of requests that succeed and fail, each a number in 30 s."""
    return {
        f'{DURATION}_count{{{labels}, http_response_status_code="200"}}': f"0+{succeeded}x200",
        f'{DURATION}_count{{{labels}, http_response_status_code="500"}}': f"0+{failed}x200",
    }


FAILED = f'{DURATION}_count{{{PRODUCTS}, http_response_status_code="500"}}'


def durations(fast, slow, labels=PRODUCTS):
    """Return the series of requests that take 0.1 s and 2 s, each a number in 30 s."""
    both = fast + slow
    counts = {"0.1": fast, "1.0": fast, "2.5": both, "+Inf": both}
    buckets = {f'{DURATION}_bucket{{{labels}, le="{le}"}}': f"0+{count}x200" for le, count in counts.items()}
    return {**buckets, f"{DURATION}_count{{{labels}}}": f"0+{both}x200"}


SLO = [
    Case(
        "NoHealthyUpstream",
        {f"up{{{WEB}}}": "1 1 0x20", f"up{{{GREEN}}}": "0x20"},
        "1m30s",
        "2m",
        "No application container of either colour is up.",
        [{f"up{{{WEB}}}": "1x20", f"up{{{GREEN}}}": "0x20"}, {f"up{{{WEB}}}": "1 0 1x20"}],
    ),
    Case(
        "NoHealthyUpstream",
        {UP: "1x20"},  # no target at all
        "30s",
        "1m",
        "No application container of either colour is up.",
        [{NGINX: "1x20"}],  # not even Prometheus itself: it stores no samples
        {"job": "web"},
    ),
    Case(
        "ActiveColourDown",
        {ACTIVE: "1x20", f"up{{{WEB}}}": "1 1 0 _x20", f"up{{{GREEN}}}": "1x20"},
        "1m30s",
        "2m",
        "nginx sends traffic to web-blue, but none of its containers is up.",
        [
            {ACTIVE: "1x20", f"up{{{WEB}}}": "1 0 1x20", f"up{{{GREEN}}}": "1x20"},
            {ACTIVE: "1x20", f"up{{{WEB}}}": "1x20", f"up{{{OTHER}}}": "0x20", f"up{{{GREEN}}}": "0x20"},
        ],
        {"job": "active-upstream", "instance": "nginx:8004", "upstream": "web-blue", "colour": "blue"},
    ),
    Case(
        "NginxDown",
        {'nginx_up{job="nginx"}': "1 1 0x20"},
        "1m30s",
        "2m",
        "nginx is down, and the site is unreachable.",
        [{'nginx_up{job="nginx"}': "1x20"}],
        {"job": "nginx"},
    ),
    Case(
        "ErrorBudgetBurnFast",
        responses(95, 5),
        "30s",
        "62m",
        "5% of requests in the last 5 minutes failed with 5xx.",
        [
            responses(990, 10),  # 1 % for long: a ticket
            responses(95, 0),
            responses(95, 0) | responses(0, 50, PROBE),  # probes do not count
            responses(0.1, 0.05),  # six errors in an hour with little traffic
            responses(95, 0) | {FAILED: "0+5x110 550x60"},  # recovered
            responses(99, 0) | {FAILED: "0+5x104 520+1x60"},  # recovering
            responses(95, 0) | {FAILED: "0x120 0+5x60"},  # just started
        ],
    ),
    Case(
        "ErrorBudgetBurnSlow",
        responses(99, 1),
        "8m",
        "40m",
        "1% of requests in the last 30 minutes failed with 5xx.",
        [responses(995, 5), responses(99, 0) | responses(0, 50, PROBE)],
    ),
    Case(
        "HighRequestLatency",
        durations(80, 20),
        "5m",
        "6m",
        "20% of requests in the last 5 minutes took over a second.",
        [durations(95, 5), durations(0, 1), durations(80, 0) | durations(0, 80, PROBE)],
    ),
    Case(
        "HighTailLatency",
        durations(97, 3),
        "15m",
        "16m",
        "The p99 request duration over 30 minutes is 2s.",
        [durations(995, 5), durations(0, 1)],
    ),
    Case(
        "WebInstanceDown",
        {f"up{{{WEB}}}": "1 0x20", f"up{{{OTHER}}}": "1x20", f"up{{{GREEN}}}": "0x20"},
        "5m",
        "5m30s",
        "The container 10.0.0.1:8000 of web-blue is down; others are up.",
        [{f"up{{{WEB}}}": "1x20", f"up{{{GREEN}}}": "0x20"}, {f"up{{{WEB}}}": "1x20"}],
        WEB_LABELS,
    ),
]
