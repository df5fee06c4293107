"""What a server says at /metrics, and where its workers keep it."""

from pathlib import Path

import psutil
from prometheus_client.parser import text_string_to_metric_families

from tests.support.integration.client import ask


class Scrape:
    """Samples, by their names and labels."""

    def __init__(self, families):
        self.samples = [sample for family in families for sample in family.samples]

    def each(self, name):
        """Return the values of a metric by their labels' values, sorted by the labels' names."""
        return {
            tuple(value for _, value in sorted(sample.labels.items())): sample.value
            for sample in self.samples
            if sample.name == name
        }

    def sum(self, name, **labels):
        """Add up the series that have these labels; None where there is none."""
        found = [s.value for s in self.samples if s.name == name and labels.items() <= s.labels.items()]
        return sum(found) if found else None


def scrape(server):
    """Ask as Prometheus does, by the container's address."""
    answer = ask(server.port, "GET", "/metrics", headers={"Host": "10.0.0.7:8000"})
    assert answer.status == 200, answer
    return Scrape(text_string_to_metric_families(answer.body.decode()))


def workers(server):
    """Return the worker processes."""
    return psutil.Process(server.process.pid).children()


def files(server):
    """Return the names of the files in which the values are."""
    return sorted(path.name for path in folder(server).iterdir())


def folder(server):
    """Return where they lie: what the master has mapped."""
    master = psutil.Process(server.process.pid)
    (found,) = {Path(part.path).parent for part in master.memory_maps() if "/flask-metrics-" in part.path}
    return found
