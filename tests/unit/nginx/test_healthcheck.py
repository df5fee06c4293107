"""scripts/healthcheck.sh: the host name of its request."""

import subprocess

import pytest

from tests.support.helpers import ROOT

PATH = "/usr/bin:/bin"


def host(**environ):
    """Return the Host header that the script would send."""
    command = ["bash", "-c", f"source {ROOT}/scripts/healthcheck.sh; host"]
    return subprocess.run(
        command, env={"PATH": PATH, **environ}, capture_output=True, text=True, check=True, timeout=10
    ).stdout.strip()


@pytest.mark.parametrize(
    ("trusted", "expected"),
    [("shop.example,www.shop.example", "shop.example"), (".shop.example", "shop.example"), ("", "localhost")],
)
def test_host(trusted, expected):
    """The request uses the first trusted host, because the application rejects others."""
    assert host(TRUSTED_HOSTS=trusted) == expected


def test_host_from_a_file(tmp_path):
    """TRUSTED_HOSTS_FILE works as for any setting."""
    (tmp_path / "hosts").write_text("shop.example\n", encoding="utf-8")
    assert host(TRUSTED_HOSTS_FILE=str(tmp_path / "hosts")) == "shop.example"
