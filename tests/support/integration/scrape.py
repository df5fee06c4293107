"""Scrape a server's metrics, and find its workers and metric files."""

from pathlib import Path

import psutil
from prometheus_client.parser import text_string_to_metric_families

from tests.support.integration.client import send_request


class Scrape:
    """The samples of a scrape."""

    def __init__(self, families):
        self.samples = [sample for family in families for sample in family.samples]

    def each(self, name):
        """Return a metric's values by label values, which are sorted by label name."""
        return {
            tuple(value for _, value in sorted(sample.labels.items())): sample.value
            for sample in self.samples
            if sample.name == name
        }

    def sum(self, name, **labels):
        """Sum the series with these labels; None if there is none."""
        found = [s.value for s in self.samples if s.name == name and labels.items() <= s.labels.items()]
        return sum(found) if found else None


def scrape(server):
    """Scrape as Prometheus does, by the container's IP address."""
    response = send_request(server.port, "GET", "/metrics", headers={"Host": "10.0.0.7:8000"})
    assert response.status == 200, response
    return Scrape(text_string_to_metric_families(response.body.decode()))


def workers(server):
    """Return the worker processes."""
    return psutil.Process(server.process.pid).children()


def files(server):
    """Return the names of the metric files."""
    return sorted(path.name for path in directory(server).iterdir())


def directory(server):
    """Return the metrics directory, from the master's memory maps."""
    master = psutil.Process(server.process.pid)
    (found,) = {Path(part.path).parent for part in master.memory_maps() if "/flask-metrics-" in part.path}
    return found
