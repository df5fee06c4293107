"""The application factory: its settings, and the order of middleware and extensions."""

import os
import sys

import pytest
from opentelemetry import propagate

from app import EXTENSIONS, create_app
from config import ConfigError

PATH_OF_A_REQUEST = [
    "app.observability.metrics_endpoint",
    "app.observability.http_metrics",
    "werkzeug.middleware.proxy_fix",
    "opentelemetry.instrumentation.wsgi",
    "app.http.access_log",
    "app.http.request_id",
    "app.routes.health",
    "app.http.cache_control",
]


def test_invalid_settings():
    """Invalid settings raise ConfigError."""
    with pytest.raises(ConfigError, match="SECRET_KEY"):
        create_app("production", environ={})


def test_settings_from_the_argument(monkeypatch):
    """An explicit environment replaces the process's environment."""
    monkeypatch.setitem(os.environ, "RELEASE", "from-the-process")
    assert create_app("testing", environ={"RELEASE": "given"}).config["RELEASE"] == "given"
    assert create_app("testing", environ={}).config["RELEASE"] == "unknown"


def test_settings_from_the_environment(monkeypatch):
    """The default is the process's environment."""
    monkeypatch.setitem(os.environ, "RELEASE", "from-the-process")
    assert create_app("testing").config["RELEASE"] == "from-the-process"


def test_applications_share_no_state():
    """Two applications in one process have separate caches, probes and circuit breakers."""
    first, second = create_app("testing", environ={}), create_app("testing", environ={})
    for name in ("cache", "probes", "database_breaker"):
        assert first.extensions[name] is not second.extensions[name]


@pytest.fixture
def traced_app(make_app):
    """An application behind a proxy with tracing, whose collector is unavailable."""
    propagator = propagate.get_global_textmap()
    app = make_app(TRUSTED_PROXIES="1", OTEL_EXPORTER_OTLP_ENDPOINT="http://127.0.0.1:9")
    yield app
    app.extensions["tracing"].shutdown()
    propagate.set_global_textmap(propagator)


def test_order_at_run_time(traced_app):
    """A request enters middleware, hooks, view and response hooks in the listed order."""
    entered = {}
    sys.setprofile(lambda frame, event, _: event == "call" and entered.setdefault(frame.f_globals["__name__"]))
    try:
        traced_app.test_client().get("/health")
    finally:
        sys.setprofile(None)
    assert [module for module in entered if module in PATH_OF_A_REQUEST] == PATH_OF_A_REQUEST


def test_order_of_hooks(shared_app):
    """Hooks run in the order of the list before a request, and in reverse after it."""
    order = [extension.__name__ for extension in EXTENSIONS]
    before = [hook.__module__ for hook in shared_app.before_request_funcs.get(None, [])]
    after = [hook.__module__ for hook in shared_app.after_request_funcs.get(None, [])]
    for hooks in (before, after):
        known = [order.index(module) for module in hooks if module in order]
        assert known == sorted(known)
