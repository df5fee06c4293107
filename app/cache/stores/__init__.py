"""Stores for the response cache's entries."""
