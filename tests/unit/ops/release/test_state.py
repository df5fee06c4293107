"""The state files: the traffic split and the journal."""

import os
import re
import stat

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ops.errors import OpsError
from ops.release import state
from ops.release.state import COLOURS, INTERNAL_URLS, Traffic
from tests.support.helpers import ROOT

SNIPPETS = ROOT / "nginx/snippets"
ANY = st.builds(Traffic, st.sampled_from(COLOURS), st.integers(0, 99))


@given(wanted=ANY)
def test_round_trip(tmp_path_factory, wanted):
    """Reading returns what was written."""
    path = tmp_path_factory.mktemp("traffic") / "active-colour.conf"
    state.write_traffic(path, wanted)
    assert state.read_traffic(path) == wanted


@given(wanted=ANY)
def test_all_traffic_is_routed(wanted):
    """The active colour gets all traffic that the canary does not."""
    assert wanted.to_nginx_config().endswith(f"* web-{wanted.colour}; }}\n")
    assert (f"{wanted.percent}% web-{wanted.other};" in wanted.to_nginx_config()) == bool(wanted.percent)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "hello",
        "split_clients $a $b { * web-red; }",
        "split_clients $a $b { * web-blue }",
        "set $active_upstream web-blue;",
    ],
)
def test_invalid_text(tmp_path, text):
    """Invalid text is an error."""
    (tmp_path / "active-colour.conf").write_text(text, encoding="utf-8")
    with pytest.raises(OpsError, match="ops init"):
        state.read_traffic(tmp_path / "active-colour.conf")


def test_missing_file(tmp_path):
    """A missing file is an error that names `init`."""
    with pytest.raises(OpsError, match="ops init"):
        state.read_traffic(tmp_path / "active-colour.conf")


def test_atomic_replacement(tmp_path):
    """A reader with the old file open reads all of it."""
    path = tmp_path / "active-colour.conf"
    state.write_traffic(path, Traffic("blue"))
    with path.open(encoding="utf-8") as old:
        state.write_traffic(path, Traffic("green", 10))
        assert old.read() == Traffic("blue").to_nginx_config()
    assert list(tmp_path.iterdir()) == [path]


def test_full_disk(tmp_path, monkeypatch):
    """On a full disk, the old file stays."""
    path = tmp_path / "active-colour.conf"
    state.write_traffic(path, Traffic("blue"))

    def fsync(_descriptor):
        raise OSError("No space left on device")

    monkeypatch.setattr(os, "fsync", fsync)
    with pytest.raises(OSError, match="No space"):
        state.write_traffic(path, Traffic("green"))
    assert state.read_traffic(path) == Traffic("blue")


def test_readable_for_nginx(tmp_path):
    """The file is world-readable, whatever the umask."""
    before = os.umask(0o077)
    try:
        state.write_traffic(tmp_path / "active-colour.conf", Traffic("blue"))
    finally:
        os.umask(before)
    assert stat.S_IMODE((tmp_path / "active-colour.conf").stat().st_mode) == 0o644


def test_internal_urls():
    """Nginx's internal listeners and ops agree on their addresses."""
    text = (SNIPPETS / "internal-listeners.conf").read_text(encoding="utf-8")
    opened = re.findall(r"listen (127\.0\.0\.1:\d+);(?:(?!listen).)*?proxy_pass http://web-(\w+);", text, re.DOTALL)
    assert {colour: f"http://{address}" for address, colour in opened} == INTERNAL_URLS


def test_variable():
    """Nginx proxies to the variable that the file sets, and logs it."""
    name = re.search(r"split_clients \S+ (\$\w+) ", Traffic("blue").to_nginx_config())[1]
    assert f"proxy_pass http://{name};" in (SNIPPETS / "proxy-application.conf").read_text(encoding="utf-8")
    assert f'"upstream": "{name}"' in (SNIPPETS / "access-log.conf").read_text(encoding="utf-8")


def test_upstreams():
    """Each colour is an upstream of nginx."""
    text = (SNIPPETS / "upstream-colours.conf").read_text(encoding="utf-8")
    assert tuple(re.findall(r"^upstream web-(\w+) ", text, re.MULTILINE)) == COLOURS
