"""HTTP/2 by default, HTTP/3 as an option, and the cost of reloads that keeps it one."""

from concurrent.futures import ThreadPoolExecutor, wait

import pytest

from tests.support.stack.server import HOST
from tests.support.stack.tool import URL, run_tool

RELOADS = 4
CURL = 'curl --silent --insecure --max-time 5 --output /dev/null --write-out "%{http_version} %{http_code}\\n" '


@pytest.fixture(scope="module")
def with_http3(new_edge):
    """Nginx with HTTP/3."""
    return new_edge(HTTP3="on")


def version_and_status(edge, tools, *options):
    """Return the HTTP version and the status of a request."""
    return run_tool(edge, tools, "sh", "-c", f"{CURL} {' '.join(options)} {URL}/page").split()


def test_http2(edge, tools):
    """Clients negotiate HTTP/2."""
    assert version_and_status(edge, tools) == ["2", "200"]


def test_http3(with_http3, tools):
    """With HTTP3=on nginx speaks HTTP/3 and advertises the published port in Alt-Svc."""
    assert version_and_status(with_http3, tools, "--http3-only") == ["3", "200"]
    assert with_http3.get("/page").headers["Alt-Svc"] == f'h3=":{with_http3.https}"; ma=86400'


def test_http3_is_off_by_default(edge, tools):
    """Without the setting HTTP/3 is neither spoken nor advertised."""
    assert version_and_status(edge, tools, "--http3-only") == ["0", "000"]
    assert "Alt-Svc" not in edge.get("/page").headers


def test_unknown_hosts_get_no_http3(with_http3, tools):
    """An HTTP/3 request for an unknown host gets no connection."""
    script = f"{CURL} --http3-only --connect-to ::{HOST}:8443 https://evil.example:8443/"
    assert run_tool(with_http3, tools, "sh", "-c", script).split() == ["0", "000"]


def send_for_15_seconds(edge, tools, version):
    """Send three requests at a time for 15 seconds and return version and status of each."""
    one = f"{CURL} {version} {URL}/page"
    script = f"end=$(($(date +%s) + 15)); while [ $(date +%s) -lt $end ]; do {one} & {one} & {one} & wait; done"
    return run_tool(edge, tools, "sh", "-c", script).splitlines()


def test_a_reload_fails_no_http2_request(with_http3, tools, figure):
    """Reloads, which every deploy makes, fail no HTTP/2 request; the figure shows how many HTTP/3 requests fail."""
    with ThreadPoolExecutor() as pool:
        running = {
            name: pool.submit(send_for_15_seconds, with_http3, tools, name) for name in ("--http2", "--http3-only")
        }
        for _ in range(RELOADS):
            wait(running.values(), timeout=3)
            with_http3.compose("exec", "-T", "nginx", "nginx", "-c", "/etc/nginx/edge/production.conf", "-s", "reload")
        results = {name: future.result(60) for name, future in running.items()}
    failed = {name: [line for line in lines if not line.endswith(" 200")] for name, lines in results.items()}
    for name, lines in results.items():
        figure(f"{name[2:7]}: {len(failed[name])} of {len(lines)} requests failed in {RELOADS} reloads")
    assert all(len(lines) > 20 for lines in results.values())
    assert failed["--http2"] == []
