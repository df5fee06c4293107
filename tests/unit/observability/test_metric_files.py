"""Values in files: counters go on where a dead worker left them, gauges do not, and files are those of the slots."""

import os
import socket
from types import SimpleNamespace

import pytest
from prometheus_client import values

from app.observability import gunicorn_metrics, metric_files, metric_values, metrics


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """A folder in which this process keeps its values during the test."""
    monkeypatch.setattr(values, "ValueClass", values.ValueClass)
    for name in ("folder", "owner", "opened", "values"):
        monkeypatch.setattr(metric_values.Files, name, getattr(metric_values.Files, name).__class__())
    monkeypatch.setattr(metrics.book, "asked", {})
    metric_files.share(tmp_path)
    yield tmp_path
    metric_values._close()
    metrics.book.forget()


@pytest.fixture
def read(folder):
    """Return the sum of a metric's series that have the labels, over all files."""

    def total(name, **labels):
        samples = [sample for family in metric_files.collect(folder) for sample in family.samples]
        found = [s.value for s in samples if s.name == name and labels.items() <= s.labels.items()]
        return sum(found) if found else None

    return total


def hit(times=1):
    """Count hits."""
    for _ in range(times):
        metrics.count("cache_requests_total", outcome="hit")


def test_counters_go_on(folder, read):
    """Each worker counts in its slot; the next one in a slot goes on where the last one stopped."""
    metric_files.hold(folder, 0)
    hit(3)
    metric_files.hold(folder, 1)
    hit(4)
    metric_files.hold(folder, 0)
    assert read("cache_requests_total", outcome="hit") == 7
    hit()
    assert read("cache_requests_total", outcome="hit") == 8


def test_gauges_do_not(folder, read):
    """What was in flight in a dead worker is not, whether the master has missed it or its slot is held again."""
    metric_files.hold(folder, 0)
    metrics.add("http_server_active_requests", 2)
    metric_files.hold(folder, 1)
    metrics.add("http_server_active_requests", 1)
    assert read("http_server_active_requests") == 3
    metric_files.release(folder, 0)
    assert read("http_server_active_requests") == 1
    metric_files.hold(folder, 1)
    assert read("http_server_active_requests") == 0


def test_histograms_go_on(folder, read):
    """The sum and the buckets of all slots are added up."""
    for slot in (0, 1, 0):
        metric_files.hold(folder, slot)
        metrics.observe("cache_compute_duration_seconds", 0.02)
    assert read("cache_compute_duration_seconds_count") == 3
    assert read("cache_compute_duration_seconds_sum") == pytest.approx(0.06)
    assert read("cache_compute_duration_seconds_bucket", le="0.025") == 3
    assert read("cache_compute_duration_seconds_bucket", le="0.01") == 0


def test_largest(folder, read):
    """An open breaker is one, in however many processes."""
    for slot in (0, 1):
        metric_files.hold(folder, slot)
        metrics.put("circuit_breaker_open", 1, backend="redis")
    assert read("circuit_breaker_open", backend="redis") > 0
    metrics.put("circuit_breaker_open", 0, backend="redis")
    assert read("circuit_breaker_open", backend="redis") > 0
    metric_files.release(folder, 0)
    assert read("circuit_breaker_open", backend="redis") == 0


def test_files_of_slots(folder):
    """However many workers come after one another, there are the files of the slots and the master's."""
    for number in range(20):
        metric_files.hold(folder, number % 2)
        hit()
    kinds = ("counter", "histogram", "gauge_livesum", "gauge_livemax")
    assert {path.name for path in folder.iterdir()} == {
        f"{kind}_{who}.db" for kind in kinds for who in ("master", 0, 1)
    }
    assert metric_files.workers(folder) == 2


def test_growing_file(folder, read):
    """A file grows with its series, and what had its place before goes on there."""
    metric_files.hold(folder, 0)
    for number in range(200):
        labels = {
            "http_request_method": "GET",
            "http_route": f"/{number}" + "x" * 400,
            "http_response_status_code": "200",
        }
        metrics.observe("http_server_request_duration_seconds", 0.1, **labels)
        hit()
    assert (folder / "histogram_0.db").stat().st_size > 2**16
    assert read("cache_requests_total", outcome="hit") == read("http_server_request_duration_seconds_count") == 200
    metric_files.hold(folder, 0)
    hit()
    assert read("cache_requests_total", outcome="hit") == 201


@pytest.mark.parametrize("size", [0, 2**16])
def test_file_that_was_about_to_be_made(folder, read, size):
    """A worker that is killed while it makes its files breaks nothing: neither who reads nor the next in its slot."""
    metric_files.hold(folder, 0)
    hit()
    with (folder / "counter_1.db").open("wb") as half_made:
        half_made.truncate(size)
    assert read("cache_requests_total", outcome="hit") == 1
    metric_files.hold(folder, 1)
    hit()
    assert read("cache_requests_total", outcome="hit") == 2


@pytest.mark.parametrize(("taken", "slot"), [([], 0), ([0, 1], 2), ([2, 0], 1), ([1], 0)])
def test_free_slot(taken, slot):
    """A worker takes the lowest slot that no living one has."""
    assert metric_files.free_slot(taken) == slot


@pytest.mark.parametrize(("left", "counted"), [(1, 1), (2, 0), (3, 0)])
def test_exits(folder, read, monkeypatch, left, counted):
    """A worker has ended by itself where fewer are left than there should be; else it made room for another."""
    monkeypatch.setattr(gunicorn_metrics.Files, "folder", folder)
    server = SimpleNamespace(WORKERS=dict.fromkeys(range(left)), num_workers=2)
    gunicorn_metrics.child_exit(server, SimpleNamespace(slot=0))
    assert read("gunicorn_worker_exits_total") == counted


def test_folders(tmp_path):
    """A new server removes what killed ones left, and leaves the folders of one that runs or begins, and others'."""
    running = gunicorn_metrics.new_folder(str(tmp_path))
    left, begun, beginning, others = (
        tmp_path / name for name in ("flask-metrics-1", "new-flask-metrics-2", "new-flask-metrics-3", "metrics-4")
    )
    for folder in (left, begun, beginning, others):
        folder.mkdir()
        (folder / "counter_0.db").touch()
    os.utime(begun, (0, 0))
    fresh = gunicorn_metrics.new_folder(str(tmp_path))
    assert sorted(tmp_path.iterdir()) == sorted([running, fresh, beginning, others])
    assert fresh.stat().st_mode & 0o777 == 0o700


def test_backlog():
    """The connections that nobody has accepted are counted; where the system does not say, it is left out."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        clients = [socket.create_connection(listener.getsockname()) for _ in range(3)]
        assert gunicorn_metrics.backlog([listener]) == 3
        listener.accept()[0].close()
        assert gunicorn_metrics.backlog([listener]) == 2
        assert gunicorn_metrics.backlog([clients[0]]) is None
        for client in clients:
            client.close()
    with socket.socket(socket.AF_UNIX) as other:
        assert gunicorn_metrics.backlog([other]) is None
    assert gunicorn_metrics.backlog([]) is None
