"""Tests of the certbot service's status files and health check."""

import time

import pytest

from deploy.certbot import status

KNOWN = {"names": ["shop.example"], "issuer": "CN=Authority", "placeholder": False, "not_after": "2026-12-01T00:00:00Z"}


@pytest.fixture(autouse=True)
def files(tmp_path, monkeypatch):
    """Write the status files to a temporary folder."""
    monkeypatch.setattr(status, "STATUS", tmp_path / "status.json")
    monkeypatch.setattr(status, "METRICS", tmp_path / "certificates.prom")


def test_success():
    """A success is healthy and clears the failure."""
    assert status.record(KNOWN, "no such name") == 1
    assert status.record(KNOWN, "") == 0
    assert status.read(status.STATUS)["failing_since"] is None
    assert not status.is_unhealthy()


def test_failure(capsys):
    """A failure is unhealthy, logged, and keeps the description of the last certificate."""
    status.record(KNOWN, "")
    assert status.record({}, "no such name") == 1
    assert status.is_unhealthy()
    assert status.read(status.STATUS)["names"] == KNOWN["names"]
    assert '"message": "no such name"' in capsys.readouterr().err
    assert "\ncertificate_renewal_failing 1\n" in status.METRICS.read_text()


def test_late():
    """A status older than two intervals is unhealthy."""
    old = time.strftime(status.TIME_FORMAT, time.gmtime(time.time() - 2 * status.INTERVAL_S - status.MAX_ROUND_S - 60))
    status.write_json(status.STATUS, {"checked": old, "error": ""})
    assert status.is_unhealthy()


def test_no_status():
    """Before the first check the service is healthy."""
    assert not status.is_unhealthy()
