"""Writes Grafana's dashboards from dashboard/*.py; a test compares the files.

Each panel says when to investigate, and has data on a healthy server too, so that an empty panel is a broken one.
"""

import json
from pathlib import Path
from typing import Any

from dashboard import latency, overview
from dashboard.panel import Dashboard, Panel

FOLDER = Path(__file__).parent.parent / "deploy/observability/grafana/dashboards"
DASHBOARDS = (overview.DASHBOARD, latency.DASHBOARD)
DATASOURCE = {"type": "prometheus", "uid": "prometheus"}
GRID_COLUMNS = 24
STAT_OPTIONS = {"reduceOptions": {"calcs": ["lastNotNull"]}, "textMode": "value_and_name"}
TIME_SERIES_OPTIONS = {
    "tooltip": {"mode": "multi", "sort": "desc"},
    "legend": {"displayMode": "list", "placement": "bottom"},
}


def main() -> None:
    """Write the files."""
    for dashboard in DASHBOARDS:
        (FOLDER / f"{dashboard.uid}.json").write_text(render(dashboard), encoding="utf-8")


def render(dashboard: Dashboard) -> str:
    """Return a dashboard as Grafana's JSON."""
    document = {
        "uid": dashboard.uid,
        "title": dashboard.title,
        "editable": False,
        "schemaVersion": 39,
        "version": 1,
        "time": {"from": "now-6h", "to": "now"},
        "refresh": "1m",
        "timezone": "utc",
        "graphTooltip": 1,
        "panels": arrange(dashboard.panels),
    }
    return json.dumps(document, indent=1) + "\n"


def arrange(panels: list[Panel]) -> list[dict[str, Any]]:
    """Return the panels with their ids and grid positions."""
    arranged, x, y, row_height = [], 0, 0, 0
    for number, panel in enumerate(panels, 1):
        height = 4 if panel.is_stat else 8
        if x + panel.width > GRID_COLUMNS:
            x, y, row_height = 0, y + row_height, 0
        arranged.append(render_panel(panel, number, {"x": x, "y": y, "w": panel.width, "h": height}))
        x, row_height = x + panel.width, max(row_height, height)
    return arranged


def render_panel(panel: Panel, number: int, position: dict[str, int]) -> dict[str, Any]:
    """Return a panel in Grafana's format."""
    return {
        "id": number,
        "type": "stat" if panel.is_stat else "timeseries",
        "title": panel.title,
        "description": panel.description,
        "datasource": DATASOURCE,
        "gridPos": position,
        "fieldConfig": {"defaults": field_defaults(panel), "overrides": []},
        "options": STAT_OPTIONS if panel.is_stat else TIME_SERIES_OPTIONS,
        "targets": [
            {"refId": chr(ord("A") + index), "datasource": DATASOURCE, "legendFormat": legend, "expr": query}
            for index, (legend, query) in enumerate(panel.queries.items())
        ],
    }


def field_defaults(panel: Panel) -> dict[str, Any]:
    """Return the unit, and the colours on both sides of the threshold."""
    defaults: dict[str, Any] = {"unit": panel.unit, **({} if panel.is_stat else {"min": 0})}
    if panel.threshold is not None:
        below, above = ("red", "green") if panel.is_red_below else ("green", "red")
        steps = [{"color": below, "value": None}, {"color": above, "value": panel.threshold}]
        defaults |= {"color": {"mode": "thresholds"}, "thresholds": {"mode": "absolute", "steps": steps}}
    return defaults


if __name__ == "__main__":
    main()
