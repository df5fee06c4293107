"""The checks of scripts/check_production.py, one concern a module."""
