"""Metrics in files: counters survive a worker's death, its gauges do not, and the number of files stays constant."""

import os
import socket
from types import SimpleNamespace

import pytest
from prometheus_client import values

from app.observability import gunicorn_metrics, metrics, multiprocess_metrics


@pytest.fixture
def directory(tmp_path, monkeypatch):
    """A directory where this process stores its values during the test."""
    monkeypatch.setattr(values, "ValueClass", values.ValueClass)
    monkeypatch.setattr(multiprocess_metrics.Process, "identifier", "master")
    monkeypatch.setenv("PROMETHEUS_MULTIPROC_DIR", "")  # so that it is restored
    monkeypatch.setattr(metrics.registry, "callbacks", {})
    multiprocess_metrics.enable(tmp_path)
    yield tmp_path
    values.close_all_multiprocess_files()
    monkeypatch.undo()
    metrics.registry.reset()


@pytest.fixture
def read(directory):
    """Return a function that sums the matching series over all files; None if there is none."""

    def read_sum(name, **labels):
        samples = [sample for family in multiprocess_metrics.collect(directory) for sample in family.samples]
        found = [s.value for s in samples if s.name == name and labels.items() <= s.labels.items()]
        return sum(found) if found else None

    return read_sum


def hit(times=1):
    """Increment a counter."""
    for _ in range(times):
        metrics.increment("cache_requests_total", outcome="hit")


def set_active_requests(value):
    """Set a gauge that is summed."""
    metrics.set_gauge("http_server_active_requests", value)


def test_counters_continue(directory, read):
    """A worker continues the counters of the previous worker in its slot."""
    multiprocess_metrics.use_slot(directory, 0)
    hit(3)
    multiprocess_metrics.use_slot(directory, 1)
    hit(4)
    multiprocess_metrics.use_slot(directory, 0)
    assert read("cache_requests_total", outcome="hit") == 7
    hit()
    assert read("cache_requests_total", outcome="hit") == 8


def test_gauges_end(directory, read):
    """A dead worker's gauges are removed by the master, or by the next worker in its slot."""
    multiprocess_metrics.use_slot(directory, 0)
    set_active_requests(2)
    multiprocess_metrics.use_slot(directory, 1)
    set_active_requests(1)
    assert read("http_server_active_requests") == 3
    multiprocess_metrics.mark_dead(directory, 0)
    assert read("http_server_active_requests") == 1
    multiprocess_metrics.use_slot(directory, 1)
    assert read("http_server_active_requests") == 0


def test_histograms_continue(directory, read):
    """Sums and buckets are added up over all slots."""
    for slot in (0, 1, 0):
        multiprocess_metrics.use_slot(directory, slot)
        metrics.observe("cache_compute_duration_seconds", 0.02)
    assert read("cache_compute_duration_seconds_count") == 3
    assert read("cache_compute_duration_seconds_sum") == pytest.approx(0.06)
    assert read("cache_compute_duration_seconds_bucket", le="0.025") == 3
    assert read("cache_compute_duration_seconds_bucket", le="0.01") == 0


def test_maximum(directory, read):
    """A circuit breaker that is open in several processes counts once."""
    for slot in (0, 1):
        multiprocess_metrics.use_slot(directory, slot)
        metrics.set_gauge("circuit_breaker_open", 1, backend="redis")
    assert read("circuit_breaker_open", backend="redis") > 0
    metrics.set_gauge("circuit_breaker_open", 0, backend="redis")
    assert read("circuit_breaker_open", backend="redis") > 0
    multiprocess_metrics.mark_dead(directory, 0)
    assert read("circuit_breaker_open", backend="redis") == 0


def test_files_per_slot(directory):
    """Twenty workers in two slots leave the files of the slots and of the master."""
    for number in range(20):
        multiprocess_metrics.use_slot(directory, number % 2)
        hit()
    kinds = ("counter", "histogram", "gauge_livesum", "gauge_livemax")
    assert {path.name for path in directory.iterdir()} == {
        f"{kind}_{process}.db" for kind in kinds for process in ("master", 0, 1)
    }
    assert multiprocess_metrics.count_workers(directory) == 2


def test_file_growth(directory, read):
    """Values keep their place when a file grows with its series."""
    multiprocess_metrics.use_slot(directory, 0)
    for number in range(200):
        labels = {"http_request_method": "GET", "http_route": f"/{number}" + "x" * 400}
        metrics.observe("http_server_request_duration_seconds", 0.1, http_response_status_code="200", **labels)
        hit()
    assert (directory / "histogram_0.db").stat().st_size > 2**16
    assert read("cache_requests_total", outcome="hit") == 200
    assert read("http_server_request_duration_seconds_count") == 200
    multiprocess_metrics.use_slot(directory, 0)
    hit()
    assert read("cache_requests_total", outcome="hit") == 201


@pytest.mark.parametrize("size", [0, 2**16])
def test_incomplete_file(directory, read, size):
    """A worker killed while it creates a file breaks neither a scrape nor the next worker in its slot."""
    multiprocess_metrics.use_slot(directory, 0)
    hit()
    with (directory / "counter_1.db").open("wb") as incomplete:
        incomplete.truncate(size)
    assert read("cache_requests_total", outcome="hit") == 1
    multiprocess_metrics.use_slot(directory, 1)
    hit()
    assert read("cache_requests_total", outcome="hit") == 2


@pytest.mark.parametrize(("used", "slot"), [([], 0), ([0, 1], 2), ([2, 0], 1), ([1], 0)])
def test_find_free_slot(used, slot):
    """A worker gets the lowest slot that no live worker uses."""
    assert multiprocess_metrics.find_free_slot(used) == slot


@pytest.mark.parametrize(("remaining", "exits"), [(1, 1), (2, 0), (3, 0)])
def test_worker_exits(directory, read, monkeypatch, remaining, exits):
    """An exit is unexpected if fewer workers than configured remain."""
    monkeypatch.setattr(gunicorn_metrics.MetricsDirectory, "path", directory)
    server = SimpleNamespace(WORKERS=dict.fromkeys(range(remaining)), num_workers=2)
    gunicorn_metrics.child_exit(server, SimpleNamespace(slot=0))
    assert read("gunicorn_worker_exits_total") == exits


def test_stale_directories(tmp_path):
    """A starting server deletes the directories of killed servers; not a live or starting server's, nor others."""
    live = gunicorn_metrics.create_directory(str(tmp_path))
    stale, starting, unrelated = (tmp_path / name for name in ("flask-metrics-1", "flask-metrics-2", "metrics-3"))
    for directory in (stale, starting, unrelated):
        directory.mkdir()
        (directory / "counter_0.db").touch()
    for directory in (live, stale, unrelated):
        os.utime(directory, (0, 0))
    created = gunicorn_metrics.create_directory(str(tmp_path))
    assert sorted(tmp_path.iterdir()) == sorted([live, created, starting, unrelated])
    assert created.stat().st_mode & 0o777 == 0o700


def test_count_backlog():
    """The backlog is the number of unaccepted connections, or None if the system does not report it."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        clients = [socket.create_connection(listener.getsockname()) for _ in range(3)]
        assert gunicorn_metrics.count_backlog([listener]) == 3
        listener.accept()[0].close()
        assert gunicorn_metrics.count_backlog([listener]) == 2
        assert gunicorn_metrics.count_backlog([clients[0]]) is None
        for client in clients:
            client.close()
    with socket.socket(socket.AF_UNIX) as other:
        assert gunicorn_metrics.count_backlog([other]) is None
    assert gunicorn_metrics.count_backlog([]) is None
