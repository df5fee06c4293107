"""HTTP/2 for everybody, HTTP/3 for who switches it on; and why it is not on by itself."""

from concurrent.futures import ThreadPoolExecutor, wait

import pytest

from tests.support.stack.server import HOST
from tests.support.stack.tool import URL, beside

RELOADS = 4
LOOK = 'curl --silent --insecure --max-time 5 --output /dev/null --write-out "%{http_version} %{http_code}\\n" '


@pytest.fixture(scope="module")
def with_http3(new_edge):
    """Return Nginx with HTTP/3."""
    return new_edge(HTTP3="on")


def asked(edge, tools, *options):
    """Return the version of HTTP, and the status, of a request."""
    return beside(edge, tools, "sh", "-c", f"{LOOK} {' '.join(options)} {URL}/page").split()


def test_http2(edge, tools):
    """Who can, speaks HTTP/2."""
    assert asked(edge, tools) == ["2", "200"]


def test_http3(with_http3, tools):
    """With HTTP3=on it is spoken, and each answer says so, with the port that users reach."""
    assert asked(with_http3, tools, "--http3-only") == ["3", "200"]
    assert with_http3.get("/page").headers["Alt-Svc"] == f'h3=":{with_http3.https}"; ma=86400'


def test_http3_is_off_by_itself(edge, tools):
    """Without the setting it is neither spoken nor offered."""
    assert asked(edge, tools, "--http3-only") == ["0", "000"]
    assert "Alt-Svc" not in edge.get("/page").headers


def test_other_names_get_no_http3(with_http3, tools):
    """Who asks by HTTP/3 for a name that is not ours gets no connection."""
    words = f"{LOOK} --http3-only --connect-to ::{HOST}:8443 https://evil.example:8443/"
    assert beside(with_http3, tools, "sh", "-c", words).split() == ["0", "000"]


def keep_asking(edge, tools, version):
    """Ask by one version of HTTP for some seconds, three at a time, and return what came of each request."""
    one = f"{LOOK} {version} {URL}/page"
    script = f"end=$(($(date +%s) + 15)); while [ $(date +%s) -lt $end ]; do {one} & {one} & {one} & wait; done"
    return beside(edge, tools, "sh", "-c", script).splitlines()


def test_what_a_reload_costs(with_http3, tools, figure):
    """A reload, which is what a deploy does, fails no request by HTTP/2; by HTTP/3 Nginx cuts some off."""
    with ThreadPoolExecutor() as pool:
        asking = {name: pool.submit(keep_asking, with_http3, tools, name) for name in ("--http2", "--http3-only")}
        for _ in range(RELOADS):
            wait(asking.values(), timeout=3)
            with_http3.compose("exec", "-T", "nginx", "nginx", "-c", "/etc/nginx/edge/production.conf", "-s", "reload")
        seen = {name: future.result(60) for name, future in asking.items()}
    failed = {name: [line for line in lines if not line.endswith(" 200")] for name, lines in seen.items()}
    for name, lines in seen.items():
        figure(f"{name[2:7]}: {len(failed[name])} of {len(lines)} requests failed in {RELOADS} reloads")
    assert all(len(lines) > 20 for lines in seen.values())
    assert failed["--http2"] == []
