"""The pages that scripts/dashboards.py writes, and what a panel is."""
