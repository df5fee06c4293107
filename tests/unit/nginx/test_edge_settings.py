"""nginx's settings: what the templates get for each value, and the error for an invalid one."""

import subprocess

import pytest

from scripts.lint_edge import settings


def test_defaults():
    """Every template variable has a default, and by default no proxy is trusted."""
    found = settings()
    assert found["EDGE_SERVER_NAMES"] == "_"
    assert found["EDGE_HSTS"] == "max-age=86400"
    assert [found[f"EDGE_{name}"] for name in ("CDN_REAL_IP", "CDN_NETWORKS", "HTTP3", "ALT_SVC")] == [""] * 4
    assert (found["EDGE_API_RATE"], found["EDGE_API_BURST"], found["EDGE_SIGN_IN_RETRY_AFTER"]) == ("20", "40", "9")


def test_server_names():
    """Host names are separated by commas; a leading dot is allowed."""
    assert settings(TRUSTED_HOSTS="shop.example,.shop.example")["EDGE_SERVER_NAMES"].split() == [
        "shop.example",
        ".shop.example",
    ]


def test_the_largest_values():
    """The largest allowed value is accepted."""
    largest = {"API_RATE": "100000", "CLIENT_REQUESTS": "65535", "CLIENT_SECONDS": "300", "BODY_KILOBYTES": "65536"}
    assert {name: settings(**{name: value})[f"EDGE_{name}"] for name, value in largest.items()} == largest


def test_cdn():
    """IPv4 and IPv6 networks of a CDN are trusted."""
    found = settings(CDN_NETWORKS="192.0.2.0/24, 2001:db8::/32", CDN_ADDRESS_HEADER="CF-Connecting-IP")
    assert found["EDGE_CDN_REAL_IP"].split() == [
        "set_real_ip_from",
        "192.0.2.0/24;",
        "set_real_ip_from",
        "2001:db8::/32;",
    ]
    assert found["EDGE_CDN_NETWORKS"].split() == ["192.0.2.0/24", "1;", "2001:db8::/32", "1;"]
    assert found["EDGE_CDN_ADDRESS_HEADER"] == "CF-Connecting-IP"


def test_sign_in_paths():
    """Each sign-in path is rate-limited."""
    assert settings(SIGN_IN_PATHS="/enter /new")["EDGE_SIGN_IN"] == "/enter|/new"


@pytest.mark.parametrize(("port", "advertised"), [("", "443"), ("8443", "8443"), ("127.0.0.1:9443", "9443")])
def test_http3_advertises_the_published_port(port, advertised):
    """Alt-Svc names the published port."""
    assert settings(HTTP3="on", HTTPS_PORT=port)["EDGE_ALT_SVC"] == f'h3=":{advertised}"; ma=86400'


def test_a_connection_has_no_more_streams_than_its_client_may_have_requests():
    """A client with a single HTTP/2 connection never exceeds its concurrency limit."""
    assert [settings(CLIENT_REQUESTS=n)["EDGE_STREAMS"] for n in ("8", "1000")] == ["8", "128"]


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("TRUSTED_HOSTS", "shop.example;return 200"),
        ("TRUSTED_HOSTS", "https://shop.example"),
        ("CDN_NETWORKS", "cloudflare"),
        ("CDN_NETWORKS", "10.0.0.0/8;"),
        ("CDN_NETWORKS", "10.0.0.0/"),
        ("CDN_NETWORKS", "10.0.0.0/99"),
        ("CDN_NETWORKS", "face.b00c"),
        ("CDN_NETWORKS", "2001:db8::/129"),
        ("HTTPS_PORT", "443-445"),
        ("CDN_ADDRESS_HEADER", "X Forwarded"),
        ("HSTS", "63072000"),
        ("HSTS", "max-age=63072000;includeSubDomains"),
        ("HSTS", 'max-age=1" always; return 200 "'),
        ("HSTS", "max-age=1\nmax-age=2"),
        ("HTTP3", "yes"),
        ("API_RATE", "0"),
        ("API_RATE", "20r/s"),
        ("API_RATE", "-1"),
        ("API_RATE", "08"),
        ("TOKEN_RATE", "1.5"),
        ("SIGN_IN_RATE", "9999999"),
        ("SIGN_IN_PATHS", "login"),
        ("SIGN_IN_PATHS", "/login$"),
        ("SIGN_IN_PATHS", "/"),
        ("SIGN_IN_PATHS", "/login/"),
        ("SIGN_IN_PATHS", "//login"),
        ("CLIENT_REQUESTS", "many"),
        ("CLIENT_REQUESTS", "65536"),
        ("CLIENT_SECONDS", "301"),
        ("BODY_KILOBYTES", "1m"),
        ("BODY_KILOBYTES", "65537"),
    ],
)
def test_an_invalid_value_stops_nginx(name, value):
    """An invalid value stops nginx before it starts; the message has the name, the value and the remedy."""
    with pytest.raises(subprocess.CalledProcessError) as stopped:
        settings(**{name: value})
    assert f"{name}: '{value}' is invalid. Use " in stopped.value.stderr
