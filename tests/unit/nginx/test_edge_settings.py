"""The settings of the edge: what Nginx is given for each, and what stops it, with the setting's name and a remedy."""

import subprocess

import pytest

from scripts.lint_edge import settings


def test_defaults():
    """Without a setting there is one for every template, and none that lets anybody in front be believed."""
    found = settings()
    assert found["EDGE_NAMES"] == "_"
    assert found["EDGE_HSTS"] == "max-age=86400"
    assert [found[f"EDGE_{name}"] for name in ("FRONT", "FRONT_NETWORKS", "HTTP3", "ALT_SVC")] == [""] * 4
    assert (found["EDGE_API_RATE"], found["EDGE_API_BURST"], found["EDGE_SIGN_IN_WAIT"]) == ("20", "40", "9")


def test_names():
    """Names are separated by commas, and may begin with a dot."""
    assert settings(TRUSTED_HOSTS="shop.example,.shop.example")["EDGE_NAMES"].split() == [
        "shop.example",
        ".shop.example",
    ]


def test_the_largest_values():
    """The largest value that is allowed is."""
    largest = {"API_RATE": "100000", "CLIENT_REQUESTS": "65535", "CLIENT_SECONDS": "300", "BODY_KILOBYTES": "65536"}
    assert {name: settings(**{name: value})[f"EDGE_{name}"] for name, value in largest.items()} == largest


def test_front():
    """Each network in front is believed, of both families."""
    found = settings(CDN_NETWORKS="192.0.2.0/24, 2001:db8::/32", CDN_ADDRESS_HEADER="CF-Connecting-IP")
    assert found["EDGE_FRONT"].split() == ["set_real_ip_from", "192.0.2.0/24;", "set_real_ip_from", "2001:db8::/32;"]
    assert found["EDGE_FRONT_NETWORKS"].split() == ["192.0.2.0/24", "1;", "2001:db8::/32", "1;"]
    assert found["EDGE_ADDRESS_HEADER"] == "CF-Connecting-IP"


def test_sign_in_paths():
    """Attempts to sign in are counted at each of the paths."""
    assert settings(SIGN_IN_PATHS="/enter /new")["EDGE_SIGN_IN"] == "/enter|/new"


@pytest.mark.parametrize(("port", "told"), [("", "443"), ("8443", "8443"), ("127.0.0.1:9443", "9443")])
def test_http3_names_the_port_that_users_reach(port, told):
    """HTTP/3 is offered on the port that is published."""
    assert settings(HTTP3="on", HTTPS_PORT=port)["EDGE_ALT_SVC"] == f'h3=":{told}"; ma=86400'


def test_a_connection_has_no_more_streams_than_a_client_requests():
    """One HTTP/2 connection of a client that does nothing else is never refused."""
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
def test_what_is_no_good_stops_nginx(name, value):
    """A value that is no good stops Nginx before it starts, and the message has its name, the value and a remedy."""
    with pytest.raises(subprocess.CalledProcessError) as stopped:
        settings(**{name: value})
    assert f"{name}: '{value}' cannot be used. Give " in stopped.value.stderr
