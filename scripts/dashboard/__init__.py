"""The dashboards that scripts/dashboards.py writes."""
