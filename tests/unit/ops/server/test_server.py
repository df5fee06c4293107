"""A server's settings from the Compose file."""

import pytest

from ops.errors import PreconditionError
from ops.server import Server


class ConfigRunner:
    """A runner to which Compose prints these settings."""

    def __init__(self, hosts="shop.example", port=None):
        web = {"environment": {"TRUSTED_HOSTS": hosts}}
        nginx = {"ports": [{"target": 8080, "published": "80"}, {"target": 8443, "published": "443", **(port or {})}]}
        self.config = {"services": {"web-blue": web, "nginx": nginx}}

    def query_json(self, _words):
        """Return the settings."""
        return self.config


@pytest.fixture
def server(tmp_path):
    """Return a function that creates a server with some settings."""
    (tmp_path / ".env").touch()
    return lambda **settings: Server(tmp_path, ConfigRunner(**settings), tmp_path / "docker-compose.prod.yml")


@pytest.mark.parametrize(
    "hosts", ["shop.example", "shop.example,www.shop.example", " shop.example , b", ".shop.example"]
)
def test_host(server, hosts):
    """Requests of ops use the first trusted host name."""
    assert server(hosts=hosts).host == "shop.example"


@pytest.mark.parametrize(
    ("port", "expected"),
    [
        ({}, ("127.0.0.1", 443)),
        ({"host_ip": "0.0.0.0"}, ("127.0.0.1", 443)),  # noqa: S104 - Docker's default
        ({"host_ip": "::"}, ("127.0.0.1", 443)),
        ({"host_ip": "192.0.2.1", "published": "8443"}, ("192.0.2.1", 8443)),
    ],
)
def test_https(server, port, expected):
    """Public requests use the published TLS port."""
    assert server(port=port).https == expected


def test_not_set_up(tmp_path):
    """Without settings, the error names `init`."""
    with pytest.raises(PreconditionError, match="ops init --host NAME"):
        _ = Server(tmp_path, ConfigRunner(), tmp_path / "docker-compose.prod.yml").config
