"""A case, and the labels that several cases share."""

from dataclasses import dataclass, field

DAY = 86400  # promtool's clock starts at 0
WEB = 'job="web", colour="blue", instance="10.0.0.1:8000"'
OTHER = 'job="web", colour="blue", instance="10.0.0.2:8000"'
PROMETHEUS = 'job="prometheus", instance="localhost:9090"'
UP = f"up{{{PROMETHEUS}}}"
NGINX = 'up{job="nginx", instance="nginx-exporter:9113"}'
WEB_LABELS = {"colour": "blue", "instance": "10.0.0.1:8000", "job": "web"}


@dataclass(frozen=True)
class Case:
    """An alert that fires on the FAULTY series AT a time, not yet BEFORE; it never fires on HEALTHY series."""

    alert: str
    faulty: dict
    before: str
    at: str
    summary: str
    healthy: list
    labels: dict = field(default_factory=dict)
    severity: str = ""  # if two rules share the name
