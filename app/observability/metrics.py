"""What is counted, by the names that metric_declarations.py declares: `count`, `add`, `put`, `observe`, `ask`.

What is not declared is an error in development and in tests. In production it is a line in the log: what only measures
must not cost anybody a request. The values are the process's own, until metric_files.py shares them between
workers.
"""

import itertools
import logging
import threading
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import Any, NamedTuple

import prometheus_client
from flask import Flask
from prometheus_client import CollectorRegistry
from prometheus_client.core import GaugeMetricFamily
from prometheus_client.metrics_core import Metric as Family

from app.observability.metric_declarations import DECLARATIONS, Kind, Metric

log = logging.getLogger(__name__)

prometheus_client.disable_created_metrics()  # type: ignore[no-untyped-call]  # a second series for each, of no use here


class UndeclaredError(LookupError):
    """A metric, a label or a label's value that metric_declarations.py does not know, or a counter that falls."""


class Nothing:
    """Stands in for a series that is not declared, in production."""

    def inc(self, _amount: float) -> None:
        """Count nothing."""

    set = observe = inc


NOTHING = Nothing()


class Asked(NamedTuple):
    """A gauge that is worked out when Prometheus asks; None leaves it out."""

    value: Callable[[], float | None]
    labels: Mapping[str, str]


class Book:
    """The declared metrics and their values."""

    def __init__(self, declarations: Sequence[Metric]) -> None:
        self.declared = {metric.name: metric for metric in declarations}
        self.on = self.strict = True
        self.asked: dict[str, Asked] = {}
        self.lock = threading.Lock()
        self.forget()

    def forget(self) -> None:
        """Begin anew: every value is zero, or what the files say that are shared."""
        self.registry = CollectorRegistry()
        self.source: Callable[[], Iterable[Family]] = self.registry.collect
        self.made: dict[str, Any] = {}
        self.found: dict[tuple[Any, ...], Any] = {}
        self.faults: set[str] = set()  # the metrics that were used in a wrong way, each of which was said
        self.kept: dict[tuple[str, ...], Any] = {}  # app/observability/http_metrics.py's: what it looks up most

    def series(self, kind: Kind, name: str, labels: Mapping[str, str]) -> Any:
        """Return one series; a dictionary's look-up but for the first time."""
        key = (kind, name, *labels.items())
        if key in self.found:
            return self.found[key]
        if fault := self._fault(kind, name, labels):
            self.refuse(name, fault)
            return NOTHING  # and nothing is kept: a label that should have a few values may have any number
        self.make()
        made = self.found[key] = self.made[name].labels(**labels) if labels else self.made[name]
        return made

    def refuse(self, name: str, fault: str) -> None:
        """Raise UndeclaredError, in production log it, once for each metric."""
        if self.strict:
            raise UndeclaredError(fault)
        if name not in self.faults:
            self.faults.add(name)
            log.error("%s", fault)

    def _fault(self, kind: Kind, name: str, labels: Mapping[str, str]) -> str:
        metric = self.declared.get(name)
        if metric is None:
            return f"The metric {name} is not declared. Declare it in app/observability/metric_declarations.py."
        if metric.asked or metric.kind != kind:
            return f"{name} is declared as a {metric.kind}{' that is asked' if metric.asked else ''}, not as a {kind}."
        return _wrong_labels(metric, labels)

    def make(self) -> None:
        """Give every metric its values, also at zero: a series that begins with its first error raises no alarm."""
        with self.lock:
            if not self.made:
                self.made = {name: self._made(metric) for name, metric in self.declared.items() if not metric.asked}

    def _made(self, metric: Metric) -> Any:
        options: dict[str, Any] = {"labelnames": tuple(metric.labels), "registry": self.registry}
        if metric.kind == "gauge":
            options["multiprocess_mode"] = "livemax" if metric.largest else "livesum"
        if metric.kind == "histogram":
            options["buckets"] = metric.buckets
        made = getattr(prometheus_client, metric.kind.title())(metric.name, metric.meaning, **options)
        values = [known or () for known in metric.labels.values()]
        for combination in itertools.product(*values) if values else ():
            made.labels(*combination)
        return made

    def collect(self) -> Iterator[Family]:
        """Yield all there is to show, as prometheus_client's exposition wants it."""
        self.make()
        yield from map(self._as_of_now, self.source())
        for name, asked in self.asked.items():
            value = asked.value()
            if value is not None:
                family = GaugeMetricFamily(name, self.declared[name].meaning, labels=list(asked.labels))
                family.add_metric(list(asked.labels.values()), value)
                yield family

    def _as_of_now(self, family: Family) -> Family:
        metric = self.declared.get(family.name)
        if metric and metric.lasts:
            now = time.monotonic()  # one clock for all processes of a machine
            family.samples = [sample._replace(value=float(sample.value > now)) for sample in family.samples]
        return family


book = Book(DECLARATIONS)


def count(name: str, amount: float = 1, **labels: str) -> None:
    """Add to a counter, which never falls."""
    if not book.on:
        return
    if amount < 0:
        book.refuse(name, f"{name} is a counter and cannot change by {amount}.")
    else:
        book.series("counter", name, labels).inc(amount)


def observe(name: str, value: float, **labels: str) -> None:
    """Add a value to a histogram."""
    if book.on:
        book.series("histogram", name, labels).observe(value)


def add(name: str, amount: float, **labels: str) -> None:
    """Change a gauge by so much."""
    if book.on:
        book.series("gauge", name, labels).inc(amount)


def put(name: str, value: float, **labels: str) -> None:
    """Set this process's share of a gauge."""
    if book.on:
        series = book.series("gauge", name, labels)
        lasts = book.declared[name].lasts if name in book.declared else 0
        series.set(time.monotonic() + lasts if lasts and value else value)


def ask(name: str, value: Callable[[], float | None], **labels: str) -> None:
    """Say how a gauge is worked out that is declared as asked."""
    metric = book.declared.get(name)
    if metric is None or not metric.asked:
        book.refuse(name, f"The metric {name} is not declared as one that is asked.")
    elif fault := _wrong_labels(metric, labels):
        book.refuse(name, fault)
    else:
        book.asked[name] = Asked(value, labels)


def _wrong_labels(metric: Metric, labels: Mapping[str, str]) -> str:
    if labels.keys() != metric.labels.keys():
        return f"{metric.name} has the labels ({', '.join(metric.labels)}), not ({', '.join(labels)})."
    for name, value in labels.items():
        known = metric.labels[name]
        if known is not None and value not in known:
            return f"{metric.name}: {name}={value!r} is not declared; there are: {', '.join(known)}."
    return ""


def init_app(app: Flask) -> None:
    """Decide for the process: whether anything is counted, and what becomes of what is not declared."""
    book.on = app.config["METRICS"]
    book.strict = app.config["ENVIRONMENT"] != "production"
    ask("release_info", lambda: 1.0, release=app.config["RELEASE"], environment=app.config["ENVIRONMENT"])
