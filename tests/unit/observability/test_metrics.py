"""Undeclared metrics raise an error in development and in tests, and do not fail requests in production."""

import pytest
from prometheus_client.exposition import generate_latest

from app import create_app
from app.observability import metrics
from app.observability.metric_declarations import DECLARATIONS
from app.observability.metrics import UndeclaredMetricError
from scripts import metrics_page
from tests.support.helpers import ROOT

SECRET = "a-secret-of-some-length-0123456789-abcdefgh"
PRODUCTION = {"SECRET_KEY": SECRET, "DATABASE_URL": "postgresql://db/x", "REDIS_URL": "redis://r", "TRUSTED_HOSTS": "x"}

EXITS, CACHE, ACTIVE = "gunicorn_worker_exits_total", "cache_requests_total", "http_server_active_requests"
UNDECLARED = {
    "name": (lambda: metrics.increment("cache_request_total"), "The metric cache_request_total is not declared"),
    "missing label": (lambda: metrics.increment(CACHE), r"has the labels \(outcome\), not \(\)"),
    "other label": (lambda: metrics.increment(CACHE, result="hit"), r"\(outcome\), not \(result\)"),
    "extra label": (lambda: metrics.increment(EXITS, signal="9"), r"\(\), not \(signal\)"),
    "label value": (lambda: metrics.increment(CACHE, outcome="hti"), "declared values: hit, miss, stale"),
    "histogram": (lambda: metrics.observe(CACHE, 1, outcome="hit"), "declared as a counter, not as a histogram"),
    "counter": (lambda: metrics.increment(ACTIVE), "declared as a gauge, not as a counter"),
    "decrease": (lambda: metrics.increment(EXITS, -1), "cannot change by -1"),
    "callback": (lambda: metrics.set_gauge("gunicorn_backlog", 1), "declared as a callback gauge, not as a gauge"),
}
UNDECLARED_CALLBACKS = [("x", {}), ("circuit_breaker_open", {"backend": "redis"}), ("release_info", {"release": "1"})]


@pytest.fixture(autouse=True)
def _restore_registry(monkeypatch):
    """Undo what an application configures in the process-wide registry."""
    metrics.registry.reset()
    for name in ("enabled", "strict"):
        monkeypatch.setattr(metrics.registry, name, True)
    monkeypatch.setattr(metrics.registry, "callbacks", {})


@pytest.mark.parametrize(("use", "message"), UNDECLARED.values(), ids=UNDECLARED)
def test_undeclared(use, message):
    """Undeclared use raises an error that names the problem."""
    with pytest.raises(UndeclaredMetricError, match=message):
        use()


@pytest.mark.parametrize(("name", "labels"), UNDECLARED_CALLBACKS)
def test_undeclared_callback(name, labels):
    """A callback needs a declared callback gauge and its labels."""
    with pytest.raises(UndeclaredMetricError):
        metrics.set_callback(name, lambda: 1.0, **labels)


@pytest.mark.parametrize("use", [use for use, _ in UNDECLARED.values()], ids=UNDECLARED)
def test_undeclared_in_production(use, logged):
    """Production logs one error for each undeclared metric."""
    create_app("production", PRODUCTION)
    log = logged()
    use()
    use()
    assert [(line["level"], line["logger"]) for line in log.records] == [("ERROR", "app.observability.metrics")]


@pytest.mark.parametrize(("name", "labels"), UNDECLARED_CALLBACKS)
def test_undeclared_callback_in_production(name, labels, logged):
    """Production logs an undeclared callback and starts."""
    create_app("production", PRODUCTION)
    log = logged()
    metrics.set_callback(name, lambda: 1.0, **labels)
    assert [line["level"] for line in log.records] == ["ERROR"]


def test_undeclared_values_in_production(logged):
    """A stream of undeclared label values fills neither the log nor the memory."""
    create_app("production", PRODUCTION)
    log, before = logged(), count_series()
    for number in range(100):
        metrics.increment(CACHE, outcome=str(number))
    assert (len(log.records), count_series()) == (1, before)


def count_series():
    """Return the number of series."""
    return sum(len(family.samples) for family in metrics.registry.collect())


@pytest.mark.parametrize("environment", ["development", "testing"])
def test_strict_environments(environment):
    """Development and testing raise the error."""
    metrics.registry.strict = False
    create_app(environment, {"DATABASE_URL": "sqlite://"})
    with pytest.raises(UndeclaredMetricError):
        metrics.increment("x")


def test_metrics_off(metric_value):
    """METRICS=off disables recording, checks and the endpoint."""
    app = create_app("testing", {"METRICS": "off"})
    metrics.increment("x")
    assert app.test_client().get("/metrics").status_code == 404
    assert metric_value("http_server_request_duration_seconds_count") is None


def test_known_series_start_at_zero(metric_value):
    """Series with declared label values exist before their first event."""
    assert metric_value("backend_errors_total", backend="redis", error_type="timeout") == 0
    assert metric_value(CACHE, outcome="stale") == 0
    assert metric_value("db_client_connection_count", state="idle") == 0


def test_ttl(metric_value, monkeypatch):
    """A gauge with a TTL returns to 0 after it, or when it is set to 0."""
    now = [1000.0]
    monkeypatch.setattr(metrics.time, "monotonic", lambda: now[0])
    metrics.set_gauge("circuit_breaker_open", 1, backend="redis")
    now[0] += 59
    assert metric_value("circuit_breaker_open", backend="redis") == 1
    metrics.set_gauge("circuit_breaker_open", 1, backend="postgres")
    now[0] += 2
    assert metric_value("circuit_breaker_open", backend="redis") == 0
    assert metric_value("circuit_breaker_open", backend="postgres") == 1
    metrics.set_gauge("circuit_breaker_open", 0, backend="postgres")
    assert metric_value("circuit_breaker_open", backend="postgres") == 0


def test_callback(metric_value):
    """A callback gauge is omitted while its value is unknown."""
    metrics.set_callback("gunicorn_backlog", lambda: None)
    assert metric_value("gunicorn_backlog") is None
    metrics.set_callback("gunicorn_backlog", lambda: 3.0)
    assert metric_value("gunicorn_backlog") == 3


def test_release_info(metric_value):
    """release_info has the release and the environment as labels."""
    create_app("testing", {"RELEASE": "abc"})
    assert metric_value("release_info", release="abc", environment="testing") == 1


def test_names():
    """Names are unique; only counters end in _total and only histograms in _seconds; descriptions are sentences."""
    names = [metric.name for metric in DECLARATIONS]
    assert len(set(names)) == len(names)
    for metric in DECLARATIONS:
        assert metric.name.endswith("_total") == (metric.kind == "counter"), metric.name
        assert metric.name.endswith("_seconds") == (metric.kind == "histogram") == bool(metric.buckets), metric.name
        assert metric.description.endswith(".")
        assert metric.troubleshooting.endswith(".")


def test_exposition():
    """The exposition has each declared metric's name and type, and no _created series."""
    metrics.increment(CACHE, outcome="hit")
    lines = generate_latest(metrics.registry).decode().splitlines()
    assert f"# TYPE {CACHE} counter" in lines
    assert f'{CACHE}{{outcome="hit"}} 1.0' in lines
    assert not [line for line in lines if "_created" in line]


def test_page_is_current():
    """docs/metrics.md matches the declarations."""
    assert (ROOT / "docs/metrics.md").read_text(encoding="utf-8") == metrics_page.page()
