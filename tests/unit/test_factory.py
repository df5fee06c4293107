"""The factory: settings come from its argument alone, and bad ones stop it before anything is opened."""

import os

import pytest

from app import create_app
from config import ConfigError


def test_unusable_settings():
    """With settings that cannot be used there is no application."""
    with pytest.raises(ConfigError, match="SECRET_KEY"):
        create_app("production", environ={})


def test_settings_come_from_the_argument(monkeypatch):
    """What the process's own environment says does not reach an application that was given another."""
    monkeypatch.setitem(os.environ, "RELEASE", "from-the-process")
    assert create_app("testing", environ={"RELEASE": "given"}).config["RELEASE"] == "given"
    assert create_app("testing", environ={}).config["RELEASE"] == "unknown"


def test_settings_come_from_the_environment(monkeypatch):
    """By default it is the process's."""
    monkeypatch.setitem(os.environ, "RELEASE", "from-the-process")
    assert create_app("testing").config["RELEASE"] == "from-the-process"


def test_applications_do_not_share():
    """Two applications in one process have each their own cache, probes and settings."""
    one, other = create_app("testing", environ={}), create_app("testing", environ={})
    for name in ("cache", "probes", "database_breaker"):
        assert one.extensions[name] is not other.extensions[name]
