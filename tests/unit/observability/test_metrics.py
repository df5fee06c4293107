"""Metrics are declared once; whatever is not declared fails here, and costs no request in production."""

import pytest
from prometheus_client.exposition import generate_latest

from app import create_app
from app.observability import metrics
from app.observability.metric_declarations import DECLARATIONS
from app.observability.metrics import UndeclaredError
from scripts import metrics_page
from tests.support.helpers import ROOT

SECRET = "a-secret-of-some-length-0123456789-abcdefgh"
PRODUCTION = {"SECRET_KEY": SECRET, "DATABASE_URL": "postgresql://db/x", "REDIS_URL": "redis://r", "TRUSTED_HOSTS": "x"}

UNDECLARED = {
    "another name": (lambda: metrics.count("cache_request_total"), "The metric cache_request_total is not declared"),
    "no label": (lambda: metrics.count("cache_requests_total"), r"has the labels \(outcome\), not \(\)"),
    "another label": (lambda: metrics.count("cache_requests_total", result="hit"), r"\(outcome\), not \(result\)"),
    "a label more": (lambda: metrics.count("gunicorn_worker_exits_total", signal="9"), r"\(\), not \(signal\)"),
    "another value": (lambda: metrics.count("cache_requests_total", outcome="hti"), "there are: hit, miss, stale"),
    "another type": (lambda: metrics.observe("cache_requests_total", 1, outcome="hit"), "as a counter, not as a hist"),
    "a gauge counted": (lambda: metrics.count("http_server_active_requests"), "declared as a gauge, not as a counter"),
    "a counter that falls": (lambda: metrics.count("gunicorn_worker_exits_total", -1), "cannot change by -1"),
    "one that is asked": (lambda: metrics.put("gunicorn_backlog", 1), "as a gauge that is asked, not as a gauge"),
}
UNDECLARED_ASKED = [("nothing", {}), ("circuit_breaker_open", {"backend": "redis"}), ("release_info", {"release": "1"})]


@pytest.fixture(autouse=True)
def _as_it_was(monkeypatch):
    """Whatever an application decides for its process ends with the test."""
    metrics.book.forget()
    for name in ("on", "strict"):
        monkeypatch.setattr(metrics.book, name, True)
    monkeypatch.setattr(metrics.book, "asked", {})


@pytest.mark.parametrize(("use", "words"), UNDECLARED.values(), ids=UNDECLARED)
def test_undeclared(use, words):
    """What is not declared raises, and says what is wrong with it."""
    with pytest.raises(UndeclaredError, match=words):
        use()


@pytest.mark.parametrize(("name", "labels"), UNDECLARED_ASKED)
def test_undeclared_asked(name, labels):
    """Only what is declared so is worked out when Prometheus asks, and with its labels."""
    with pytest.raises(UndeclaredError):
        metrics.ask(name, lambda: 1.0, **labels)


@pytest.mark.parametrize("use", [use for use, _ in UNDECLARED.values()], ids=UNDECLARED)
def test_undeclared_in_production(use, logged):
    """In production it is an error in the log, once, and the caller goes on."""
    create_app("production", PRODUCTION)
    log = logged()
    use()
    use()
    assert [(line["level"], line["logger"]) for line in log.records] == [("ERROR", "app.observability.metrics")]


@pytest.mark.parametrize(("name", "labels"), UNDECLARED_ASKED)
def test_undeclared_asked_in_production(name, labels, logged):
    """That costs nobody the start of a worker, either."""
    create_app("production", PRODUCTION)
    log = logged()
    metrics.ask(name, lambda: 1.0, **labels)
    assert [line["level"] for line in log.records] == ["ERROR"]


def test_undeclared_values_in_production(logged):
    """A label that takes one undeclared value after another fills neither the log nor the memory."""
    create_app("production", PRODUCTION)
    log, known = logged(), len(metrics.book.found)
    for number in range(100):
        metrics.count("cache_requests_total", outcome=str(number))
    assert (len(log.records), len(metrics.book.found)) == (1, known)


@pytest.mark.parametrize("environment", ["development", "testing"])
def test_strict(environment):
    """Development and tests are where it raises."""
    metrics.book.strict = False
    create_app(environment, {"DATABASE_URL": "sqlite://"})
    with pytest.raises(UndeclaredError):
        metrics.count("nothing")


def test_off(counted):
    """METRICS=off: nothing is counted, declared or not, and nobody is told."""
    app = create_app("testing", {"METRICS": "off"})
    metrics.count("nothing")
    assert app.test_client().get("/metrics").status_code == 404
    assert counted("http_server_request_duration_seconds_count") is None


def test_there_from_the_start(counted):
    """A series whose labels are known is there at zero: the first error of all is an increase too."""
    assert counted("backend_errors_total", backend="redis", error_type="timeout") == 0
    assert counted("cache_requests_total", outcome="stale") == 0
    assert counted("db_client_connection_count", state="idle") == 0


def test_lasting(counted, monkeypatch):
    """An open breaker counts for a minute after it last failed; one that has closed, at once no more."""
    now = [1000.0]
    monkeypatch.setattr(metrics.time, "monotonic", lambda: now[0])
    metrics.put("circuit_breaker_open", 1, backend="redis")
    now[0] += 59
    assert counted("circuit_breaker_open", backend="redis") == 1
    metrics.put("circuit_breaker_open", 1, backend="postgres")
    now[0] += 2
    assert (counted("circuit_breaker_open", backend="redis"), counted("circuit_breaker_open", backend="postgres")) == (
        0,
        1,
    )
    metrics.put("circuit_breaker_open", 0, backend="postgres")
    assert counted("circuit_breaker_open", backend="postgres") == 0


def test_asked(counted):
    """What is worked out when Prometheus asks is left out where nobody knows it."""
    metrics.ask("gunicorn_backlog", lambda: None)
    assert counted("gunicorn_backlog") is None
    metrics.ask("gunicorn_backlog", lambda: 3.0)
    assert counted("gunicorn_backlog") == 3


def test_release(counted):
    """Which build it is stands in the labels of a metric that is always 1."""
    create_app("testing", {"RELEASE": "abc"})
    assert counted("release_info", release="abc", environment="testing") == 1


def test_names():
    """No name is declared twice; counters end in _total and no other does, times in seconds; each says what is bad."""
    names = [metric.name for metric in DECLARATIONS]
    assert len(set(names)) == len(names)
    for metric in DECLARATIONS:
        assert metric.name.endswith("_total") == (metric.kind == "counter"), metric.name
        assert metric.name.endswith("_seconds") == (metric.kind == "histogram") == bool(metric.buckets), metric.name
        assert metric.meaning.endswith(".")
        assert metric.bad.endswith(".")


def test_text():
    """The text has each declared metric's name, type and meaning, and no series beside them."""
    metrics.count("cache_requests_total", outcome="hit")
    lines = generate_latest(metrics.book).decode().splitlines()
    assert "# TYPE cache_requests_total counter" in lines
    assert 'cache_requests_total{outcome="hit"} 1.0' in lines
    assert not [line for line in lines if "_created" in line]


def test_page_is_fresh():
    """docs/metrics.md is what scripts/metrics_page.py makes of the declarations."""
    assert (ROOT / "docs/metrics.md").read_text(encoding="utf-8") == metrics_page.page()
