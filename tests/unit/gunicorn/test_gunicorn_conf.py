"""gunicorn.conf.py: as many workers as the container's CPUs bear, and numbers that are checked."""

import os
import runpy

import pytest

from tests.support.helpers import ROOT

READ = ("WEB_CONCURRENCY", "GUNICORN_THREADS", "HOST", "PORT", "DRAIN_SECONDS", "REDIS_URL", "REDIS_URL_FILE")
READ += ("LOG_LEVEL", "LOG_FORMAT", "FLASK_ENV", "RELEASE")


@pytest.fixture
def load(monkeypatch, tmp_path):
    """Return a function that reads the file with the given environment and no .env in reach."""

    def run(**environ):
        for name in READ:
            monkeypatch.delenv(name, raising=False)
        for name, value in environ.items():
            monkeypatch.setenv(name, value)
        monkeypatch.chdir(tmp_path)
        return runpy.run_path(str(ROOT / "gunicorn.conf.py"))

    return run


def cpus(settings, folder, monkeypatch, host=8):
    """Return how many CPUs the file finds in FOLDER on a host of HOST."""
    monkeypatch.setattr(os, "sched_getaffinity", lambda _pid: range(host), raising=False)
    return settings["cpus"](folder)


V2 = [("50000 100000\n", 0.5), ("250000 100000\n", 2.5), ("6400000 100000\n", 8), ("max 100000\n", 8)]


@pytest.mark.parametrize(("limit", "expected"), [*V2, ("", 8), ("garbage", 8), ("1 2 3", 8)])
def test_quota_v2(load, tmp_path, monkeypatch, limit, expected):
    """cpu.max limits the CPUs; without a limit, and with a text that is none, the host's count stands."""
    (tmp_path / "cpu.max").write_text(limit, encoding="utf-8")
    assert cpus(load(), tmp_path, monkeypatch) == expected


@pytest.mark.parametrize(("quota", "expected"), [("150000", 1.5), ("-1", 8), ("", 8), ("garbage", 8)])
def test_quota_v1(load, tmp_path, monkeypatch, quota, expected):
    """cpu.cfs_quota_us limits the CPUs on older hosts; -1 is no limit."""
    (tmp_path / "cpu").mkdir()
    (tmp_path / "cpu/cpu.cfs_quota_us").write_text(quota, encoding="utf-8")
    (tmp_path / "cpu/cpu.cfs_period_us").write_text("100000", encoding="utf-8")
    assert cpus(load(), tmp_path, monkeypatch) == expected


def test_no_cgroup(load, tmp_path, monkeypatch):
    """Outside of a container the scheduler's count stands."""
    assert cpus(load(), tmp_path / "none", monkeypatch, host=3) == 3


@pytest.mark.parametrize(("limit", "expected"), [("50000 100000", 2), ("300000 100000", 3), ("350000 100000", 4)])
def test_workers(load, tmp_path, monkeypatch, limit, expected):
    """There is a worker for each CPU, and never less than two: one must be able to die."""
    settings = load(REDIS_URL="redis://cache")
    (tmp_path / "cpu.max").write_text(limit, encoding="utf-8")
    monkeypatch.setattr(os, "sched_getaffinity", lambda _pid: range(8), raising=False)
    settings["cpus"].__defaults__ = (tmp_path,)
    assert settings["default_workers"]() == expected


@pytest.mark.parametrize("name", ["REDIS_URL", "REDIS_URL_FILE"])
def test_one_worker_without_redis(load, name):
    """A cache inside the process serves one process; with a shared one there are more."""
    assert load()["workers"] == load(**{name: ""})["workers"] == 1
    assert load(**{name: "redis://cache"})["workers"] >= 2


def test_environment_decides(load):
    """What the environment says goes before what the file would choose."""
    settings = load(WEB_CONCURRENCY="7", GUNICORN_THREADS="3", PORT="8123", HOST="127.0.0.1", DRAIN_SECONDS="9")
    assert [settings[name] for name in ("workers", "threads", "worker_connections", "drain_seconds")] == [7, 3, 3, 9]
    assert settings["bind"] == "127.0.0.1:8123"


def test_empty_counts_as_unset(load):
    """Empty values, as Compose makes of variables that are not set, leave the defaults."""
    settings = load(WEB_CONCURRENCY="", GUNICORN_THREADS="", PORT="", HOST="", DRAIN_SECONDS="")
    assert [settings[name] for name in ("workers", "threads", "bind")] == [1, 4, "0.0.0.0:8000"]


def test_draining_by_default(load):
    """A server gives a load balancer time to notice that it stops; a person at a keyboard does not wait."""
    assert load(FLASK_ENV="production")["drain_seconds"] == load()["drain_seconds"] == 5
    assert load(FLASK_ENV="development")["drain_seconds"] == 0


BAD = [("PORT", "http"), ("PORT", "0"), ("PORT", "65536"), ("PORT", "-1"), ("WEB_CONCURRENCY", "auto")]


@pytest.mark.parametrize(("name", "value"), [*BAD, ("GUNICORN_THREADS", "65"), ("DRAIN_SECONDS", "1.5")])
def test_bad_number(load, name, value):
    """A number that cannot be used stops the server, with its name, its value and its range."""
    with pytest.raises(SystemExit, match=rf"^{name}: '{value}' cannot be used. Give a whole number from \d+ to \d+.$"):
        load(**{name: value})


def test_what_a_deployment_relies_on(load):
    """Threads overlap the waits, the application is loaded before the fork, and no proxy header is believed here."""
    settings = load()
    assert (settings["wsgi_app"], settings["worker_class"], settings["preload_app"]) == ("wsgi:app", "gthread", True)
    assert settings["forwarded_allow_ips"] == ""
    assert settings["graceful_timeout"] < 45  # the container's stop_grace_period


@pytest.mark.parametrize(("environ", "form"), [({}, "json"), ({"FLASK_ENV": "development"}, "text")])
def test_log_format(load, environ, form):
    """Gunicorn's own lines have the application's form."""
    assert load(**environ)["log_settings"]()["handlers"]["stderr"]["formatter"] == form


def test_log_settings_never_fail(load):
    """A wrong level or format is for the application to name; Gunicorn logs with the defaults until it did."""
    settings = load(LOG_LEVEL="LOUD", LOG_FORMAT="xml")["log_settings"]()
    assert (settings["root"]["level"], settings["handlers"]["stderr"]["formatter"]) == ("INFO", "json")
