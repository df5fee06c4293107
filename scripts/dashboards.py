"""Write Grafana's dashboards from the tables in dashboard/; a test holds the files to them.

Each panel says what bad looks like, and shows a line even where all is well: a panel without one is broken.
"""

import json
from pathlib import Path
from typing import Any

from dashboard import latency, overview
from dashboard.panel import Dashboard, Panel

FOLDER = Path(__file__).parent.parent / "deploy/observability/grafana/dashboards"
PAGES = (overview.PAGE, latency.PAGE)
SOURCE = {"type": "prometheus", "uid": "prometheus"}
GRID = 24  # columns


def main() -> None:
    """Write the files."""
    for dashboard in PAGES:
        (FOLDER / f"{dashboard.uid}.json").write_text(text(dashboard), encoding="utf-8")


def text(dashboard: Dashboard) -> str:
    """Return what Grafana reads."""
    page = {
        "uid": dashboard.uid,
        "title": dashboard.title,
        "editable": False,
        "schemaVersion": 39,
        "version": 1,
        "time": {"from": "now-6h", "to": "now"},
        "refresh": "1m",
        "timezone": "utc",
        "graphTooltip": 1,
        "panels": placed(dashboard.panels),
    }
    return json.dumps(page, indent=1) + "\n"


def placed(panels: list[Panel]) -> list[dict[str, Any]]:
    """Return the panels, from left to right and from top to bottom."""
    found, x, y, row = [], 0, 0, 0
    for identity, panel in enumerate(panels, 1):
        height = 4 if panel.number else 8
        if x + panel.width > GRID:
            x, y, row = 0, y + row, 0
        found.append(described(panel, identity, {"x": x, "y": y, "w": panel.width, "h": height}))
        x, row = x + panel.width, max(row, height)
    return found


def described(panel: Panel, identity: int, place: dict[str, int]) -> dict[str, Any]:
    """Return a panel as Grafana has it."""
    return {
        "id": identity,
        "type": "stat" if panel.number else "timeseries",
        "title": panel.title,
        "description": panel.description,
        "datasource": SOURCE,
        "gridPos": place,
        "fieldConfig": {"defaults": defaults(panel), "overrides": []},
        "options": {"reduceOptions": {"calcs": ["lastNotNull"]}, "textMode": "value_and_name"}
        if panel.number
        else {"tooltip": {"mode": "multi", "sort": "desc"}, "legend": {"displayMode": "list", "placement": "bottom"}},
        "targets": [
            {"refId": chr(ord("A") + index), "datasource": SOURCE, "legendFormat": name, "expr": query}
            for index, (name, query) in enumerate(panel.queries.items())
        ],
    }


def defaults(panel: Panel) -> dict[str, Any]:
    """Return the unit, and the colours of a number that may be bad."""
    found: dict[str, Any] = {"unit": panel.unit, **({} if panel.number else {"min": 0})}
    if panel.bad is not None:
        good, bad = ("red", "green") if panel.below else ("green", "red")
        steps = [{"color": good, "value": None}, {"color": bad, "value": panel.bad}]
        found |= {"color": {"mode": "thresholds"}, "thresholds": {"mode": "absolute", "steps": steps}}
    return found


if __name__ == "__main__":
    main()
