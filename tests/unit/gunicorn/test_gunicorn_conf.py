"""gunicorn.conf.py: the number of workers follows the container's CPUs, and numbers are validated."""

import os
import runpy

import pytest

from tests.support.helpers import ROOT

VARIABLES = ("WEB_CONCURRENCY", "GUNICORN_THREADS", "HOST", "PORT", "DRAIN_SECONDS", "REDIS_URL", "REDIS_URL_FILE")
VARIABLES += ("LOG_LEVEL", "LOG_FORMAT", "FLASK_ENV", "RELEASE")


@pytest.fixture
def load(monkeypatch, tmp_path):
    """Return a function that loads the file with the given environment and without .env."""

    def run(**environ):
        for name in VARIABLES:
            monkeypatch.delenv(name, raising=False)
        for name, value in environ.items():
            monkeypatch.setenv(name, value)
        monkeypatch.chdir(tmp_path)
        return runpy.run_path(str(ROOT / "gunicorn.conf.py"))

    return run


def count_cpus(settings, cgroup, monkeypatch, host_cpus=8):
    """Return the CPUs available to a container with this cgroup directory."""
    monkeypatch.setattr(os, "sched_getaffinity", lambda _pid: range(host_cpus), raising=False)
    return settings["count_cpus"](cgroup)


V2 = [("50000 100000\n", 0.5), ("250000 100000\n", 2.5), ("6400000 100000\n", 8), ("max 100000\n", 8)]


@pytest.mark.parametrize(("limit", "expected"), [*V2, ("", 8), ("garbage", 8), ("1 2 3", 8)])
def test_quota_v2(load, tmp_path, monkeypatch, limit, expected):
    """cpu.max limits the CPUs; without a valid limit, all of the host's are available."""
    (tmp_path / "cpu.max").write_text(limit, encoding="utf-8")
    assert count_cpus(load(), tmp_path, monkeypatch) == expected


@pytest.mark.parametrize(("quota", "expected"), [("150000", 1.5), ("-1", 8), ("", 8), ("garbage", 8)])
def test_quota_v1(load, tmp_path, monkeypatch, quota, expected):
    """cpu.cfs_quota_us limits the CPUs with cgroup v1; -1 is no limit."""
    (tmp_path / "cpu").mkdir()
    (tmp_path / "cpu/cpu.cfs_quota_us").write_text(quota, encoding="utf-8")
    (tmp_path / "cpu/cpu.cfs_period_us").write_text("100000", encoding="utf-8")
    assert count_cpus(load(), tmp_path, monkeypatch) == expected


def test_no_cgroup(load, tmp_path, monkeypatch):
    """Outside a container, the scheduler affinity decides."""
    assert count_cpus(load(), tmp_path / "none", monkeypatch, host_cpus=3) == 3


@pytest.mark.parametrize(("limit", "expected"), [("50000 100000", 2), ("300000 100000", 3), ("350000 100000", 4)])
def test_workers(load, tmp_path, monkeypatch, limit, expected):
    """There is one worker per CPU, and at least two."""
    settings = load(REDIS_URL="redis://cache")
    (tmp_path / "cpu.max").write_text(limit, encoding="utf-8")
    monkeypatch.setattr(os, "sched_getaffinity", lambda _pid: range(8), raising=False)
    settings["count_cpus"].__defaults__ = (tmp_path,)
    assert settings["default_workers"]() == expected


@pytest.mark.parametrize("name", ["REDIS_URL", "REDIS_URL_FILE"])
def test_one_worker_without_redis(load, name):
    """The in-process cache allows one worker; Redis allows more."""
    assert load()["workers"] == load(**{name: ""})["workers"] == 1
    assert load(**{name: "redis://cache"})["workers"] >= 2


def test_environment_overrides(load):
    """The environment overrides the defaults."""
    settings = load(WEB_CONCURRENCY="7", GUNICORN_THREADS="3", PORT="8123", HOST="127.0.0.1", DRAIN_SECONDS="9")
    assert [settings[name] for name in ("workers", "threads", "worker_connections", "drain_seconds")] == [7, 3, 3, 9]
    assert settings["bind"] == "127.0.0.1:8123"


def test_empty_variables(load):
    """Empty variables, which Compose passes for unset ones, leave the defaults."""
    settings = load(WEB_CONCURRENCY="", GUNICORN_THREADS="", PORT="", HOST="", DRAIN_SECONDS="")
    assert [settings[name] for name in ("workers", "threads", "bind")] == [1, 4, "0.0.0.0:8000"]


def test_default_drain_seconds(load):
    """Production drains; development stops at once."""
    assert load(FLASK_ENV="production")["drain_seconds"] == load()["drain_seconds"] == 5
    assert load(FLASK_ENV="development")["drain_seconds"] == 0


INVALID = [("PORT", "http"), ("PORT", "0"), ("PORT", "65536"), ("PORT", "-1"), ("WEB_CONCURRENCY", "auto")]


@pytest.mark.parametrize(("name", "value"), [*INVALID, ("GUNICORN_THREADS", "65"), ("DRAIN_SECONDS", "1.5")])
def test_invalid_number(load, name, value):
    """An invalid number stops the server; the message has the variable, its value and the range."""
    with pytest.raises(SystemExit, match=rf"^{name}: '{value}' is invalid. Set an integer from \d+ to \d+.$"):
        load(**{name: value})


def test_fixed_settings(load):
    """Workers have threads, the application is preloaded, and Gunicorn trusts no proxy header."""
    settings = load()
    assert (settings["wsgi_app"], settings["worker_class"], settings["preload_app"]) == ("wsgi:app", "gthread", True)
    assert settings["forwarded_allow_ips"] == ""
    assert settings["graceful_timeout"] < 45  # the container's stop_grace_period


@pytest.mark.parametrize(("environ", "form"), [({}, "json"), ({"FLASK_ENV": "development"}, "text")])
def test_log_format(load, environ, form):
    """Gunicorn logs in the application's format."""
    assert load(**environ)["log_settings"]()["handlers"]["stderr"]["formatter"] == form


def test_invalid_log_settings(load):
    """Gunicorn logs with the defaults if the level or the format is invalid; the application reports it."""
    settings = load(LOG_LEVEL="LOUD", LOG_FORMAT="xml")["log_settings"]()
    assert (settings["root"]["level"], settings["handlers"]["stderr"]["formatter"]) == ("INFO", "json")
