"""Releases: deploy, canary, promote, abort, roll back, recover."""
