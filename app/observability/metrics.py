"""Record metrics by the names declared in metric_declarations.py.

An undeclared metric, label or label value raises an error in development and in tests. In production it logs an error,
because a metric must never fail a request.
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

prometheus_client.disable_created_metrics()  # type: ignore[no-untyped-call]  # nothing reads the *_created series


class UndeclaredMetricError(LookupError):
    """Use of a metric, label or label value that metric_declarations.py does not declare, or a decreasing counter."""


class NullMetric:
    """Replaces an undeclared series in production."""

    def inc(self, _amount: float) -> None:
        """Do nothing."""

    set = observe = inc


NULL_METRIC = NullMetric()


class CallbackGauge(NamedTuple):
    """A gauge computed at each scrape; a value of None omits it."""

    value: Callable[[], float | None]
    labels: Mapping[str, str]


class MetricsRegistry:
    """The declared metrics and their series; `prometheus_client.generate_latest` accepts it as a registry."""

    def __init__(self, declarations: Sequence[Metric]) -> None:
        self.declarations = {metric.name: metric for metric in declarations}
        self.enabled = self.strict = True
        self.callbacks: dict[str, CallbackGauge] = {}
        self._lock = threading.Lock()
        self.reset()

    def reset(self, source: Callable[[], Iterable[Family]] | None = None) -> None:
        """Drop all series. SOURCE returns the values at a scrape; without it they are in this process's memory."""
        self._collectors = CollectorRegistry()
        self._source = source or self._collectors.collect
        self._metrics: dict[str, Any] = {}
        self._series: dict[tuple[Any, ...], Any] = {}
        self._reported: set[str] = set()

    def series(self, kind: Kind, name: str, labels: Mapping[str, str]) -> Any:
        """Return the series with these labels."""
        key = (kind, name, *labels.items())
        if key in self._series:
            return self._series[key]
        if problem := self._find_problem(kind, name, labels):
            self.reject(name, problem)
            return NULL_METRIC  # not cached: undeclared label values are unbounded
        self.create_metrics()
        metric = self._metrics[name]
        series = self._series[key] = metric.labels(**labels) if labels else metric
        return series

    def reject(self, name: str, problem: str) -> None:
        """Raise UndeclaredMetricError; in production log an error, once for each metric."""
        if self.strict:
            raise UndeclaredMetricError(problem)
        if name not in self._reported:
            self._reported.add(name)
            log.error("%s", problem)

    def _find_problem(self, kind: Kind, name: str, labels: Mapping[str, str]) -> str:
        metric = self.declarations.get(name)
        if metric is None:
            return f"The metric {name} is not declared. Declare it in app/observability/metric_declarations.py."
        if metric.callback or metric.kind != kind:
            return f"{name} is declared as a {'callback ' if metric.callback else ''}{metric.kind}, not as a {kind}."
        return find_label_problem(metric, labels)

    def create_metrics(self) -> None:
        """Create every series with known labels at zero: an increase is only visible from an existing sample."""
        with self._lock:
            if not self._metrics:
                self._metrics = {name: self._create(m) for name, m in self.declarations.items() if not m.callback}

    def _create(self, declaration: Metric) -> Any:
        options: dict[str, Any] = {"labelnames": tuple(declaration.labels), "registry": self._collectors}
        if declaration.kind == "gauge":
            options["multiprocess_mode"] = f"live{declaration.aggregation}"
        if declaration.kind == "histogram":
            options["buckets"] = declaration.buckets
        metric_class = getattr(prometheus_client, declaration.kind.title())
        metric = metric_class(declaration.name, declaration.description, **options)
        values = [label_values or () for label_values in declaration.labels.values()]
        for combination in itertools.product(*values) if values else ():
            metric.labels(*combination)
        return metric

    def collect(self) -> Iterator[Family]:
        """Yield all metric families, as prometheus_client's exposition expects."""
        self.create_metrics()
        yield from map(self._expire, self._source())
        for name, gauge in self.callbacks.items():
            value = gauge.value()
            if value is not None:
                family = GaugeMetricFamily(name, self.declarations[name].description, labels=list(gauge.labels))
                family.add_metric(list(gauge.labels.values()), value)
                yield family

    def _expire(self, family: Family) -> Family:
        metric = self.declarations.get(family.name)
        if metric and metric.ttl:
            now = time.monotonic()  # one clock for all processes of a machine
            family.samples = [sample._replace(value=float(sample.value > now)) for sample in family.samples]
        return family


registry = MetricsRegistry(DECLARATIONS)


def increment(name: str, amount: float = 1, **labels: str) -> None:
    """Increment a counter."""
    if not registry.enabled:
        return
    if amount < 0:
        registry.reject(name, f"{name} is a counter and cannot change by {amount}.")
    else:
        registry.series("counter", name, labels).inc(amount)


def observe(name: str, value: float, **labels: str) -> None:
    """Add a value to a histogram."""
    if registry.enabled:
        registry.series("histogram", name, labels).observe(value)


def set_gauge(name: str, value: float, **labels: str) -> None:
    """Set this process's value of a gauge."""
    if registry.enabled:
        series = registry.series("gauge", name, labels)
        ttl = registry.declarations[name].ttl if name in registry.declarations else 0
        series.set(time.monotonic() + ttl if ttl and value else value)


def set_callback(name: str, value: Callable[[], float | None], **labels: str) -> None:
    """Set the function that computes a callback gauge."""
    metric = registry.declarations.get(name)
    if metric is None or not metric.callback:
        registry.reject(name, f"The metric {name} is not declared as a callback gauge.")
    elif problem := find_label_problem(metric, labels):
        registry.reject(name, problem)
    else:
        registry.callbacks[name] = CallbackGauge(value, labels)


def find_label_problem(metric: Metric, labels: Mapping[str, str]) -> str:
    """Return what is wrong with the labels, an empty string if nothing is."""
    if labels.keys() != metric.labels.keys():
        return f"{metric.name} has the labels ({', '.join(metric.labels)}), not ({', '.join(labels)})."
    for name, value in labels.items():
        declared = metric.labels[name]
        if declared is not None and value not in declared:
            return f"{metric.name}: {name}={value!r} is not declared; declared values: {', '.join(declared)}."
    return ""


def init_app(app: Flask) -> None:
    """Configure the process-wide registry: metrics on or off, and errors raised or logged."""
    registry.enabled = app.config["METRICS"]
    registry.strict = app.config["ENVIRONMENT"] != "production"
    set_callback("release_info", lambda: 1.0, release=app.config["RELEASE"], environment=app.config["ENVIRONMENT"])
