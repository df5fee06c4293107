"""Tests of the checks of the server: each passes on a good server and finds the problem on a bad one."""

import json
import os
import shutil
import time
from collections import Counter
from types import SimpleNamespace

import pytest

from ops.docker import nginx
from ops.errors import OpsError
from ops.server import credentials
from ops.server.checks import clock, disk, files, registry, services, sidecars
from ops.server.checks import edge as https
from ops.server.checks.finding import FAIL, PASS, WARN
from tests.support.helpers import ROOT
from tests.support.ops.fake_docker import SECRETS

GIB = 2**30


def run(check, server):
    """Return a check's findings as (state, reason and remedy)."""
    return [(each.state, f"{each.reason} {each.remedy}") for each in check(server)]


def run_one(check, server):
    """Return a check's only finding."""
    [found] = run(check, server)
    return found


@pytest.fixture
def tidy(shop, monkeypatch):
    """A server with the files of `init`, owned by this user instead of the containers'."""
    (shop.folder / "secrets").chmod(0o700)
    (shop.folder / "secrets/-").unlink()
    for name in SECRETS:
        (shop.folder / "secrets" / name).chmod(0o600)
    (shop.folder / ".env").chmod(0o600)
    monkeypatch.setattr(credentials, "OWNERS", {os.getuid(): SECRETS})
    return shop


def test_secret_files(tidy):
    """Secrets that only their user may read pass."""
    assert run_one(files.check_secrets, tidy.server()) == (PASS, "2 files, each readable by its user only. ")


@pytest.mark.parametrize(
    ("path", "mode", "message"),
    [
        ("secrets", 0o755, "secrets/ has mode 755"),
        ("secrets/secret_key", 0o644, "secret_key has mode 644"),
        ("secrets/cache_acl", 0o640, "cache_acl has mode 640"),
        ("secrets/cache_acl", 0o602, "cache_acl has mode 602"),
    ],
)
def test_secret_files_readable_by_others(tidy, path, mode, message):
    """A secret that others may read or write is named, with its mode."""
    (tidy.folder / path).chmod(mode)
    state, text = run_one(files.check_secrets, tidy.server())
    assert (state, text.startswith(f"{message}. sudo chmod")) == (FAIL, True)


def test_secret_files_of_another_user(tidy, monkeypatch):
    """A secret of another user is named, with both users."""
    monkeypatch.setattr(credentials, "OWNERS", {4711: SECRETS})
    state, text = run_one(files.check_secrets, tidy.server())
    assert (state, f"secret_key belongs to user {os.getuid()}; 4711 reads it" in text) == (FAIL, True)


@pytest.mark.parametrize(
    ("mode", "line", "state", "message"),
    [
        (0o600, "TRUSTED_HOSTS=shop.example", PASS, "it has no secret"),
        (0o644, "TRUSTED_HOSTS=shop.example", WARN, "others may read .env (mode 644)"),
        (0o600, "SECRET_KEY=canary", WARN, ".env has SECRET_KEY"),
        (0o644, "SECRET_KEY=canary", FAIL, ".env has SECRET_KEY, and others may read it"),
        (0o644, "export DATABASE_URL=postgresql://app:canary@db/app", FAIL, ".env has DATABASE_URL"),
        (0o644, "SENTRY_DSN=https://canary@sentry.example/1", FAIL, ".env has SENTRY_DSN"),
        (0o644, "SECRET_KEY=", WARN, "others may read .env"),
        (0o622, "HSTS=max-age=1", FAIL, "others may write .env"),
    ],
)
def test_settings_file(tidy, mode, line, state, message):
    """Open permissions of .env and secrets in it are found; a secret's value is never printed."""
    (tidy.folder / ".env").write_text(f"# PASSWORD=no setting\n{line}\n", encoding="utf-8")
    (tidy.folder / ".env").chmod(mode)
    found, text = run_one(files.check_settings, tidy.server())
    assert (found, message in text, "canary" in text) == (state, True, False)


@pytest.fixture
def set_free(monkeypatch):
    """Return a function that sets the free GiB of a 100 GiB disk, and the free ones of 1000 inodes."""

    def apply(free, inodes=500):
        usage = SimpleNamespace(free=free * GIB, total=100 * GIB)
        monkeypatch.setattr(shutil, "disk_usage", lambda _path: usage)
        monkeypatch.setattr(os, "statvfs", lambda _path: SimpleNamespace(f_files=1000, f_favail=inodes))
        monkeypatch.setattr("ops.server.disk.FREE_BYTES", 2 * GIB)

    return apply


@pytest.mark.parametrize("check", [disk.check_disk, disk.check_backups_disk])
@pytest.mark.parametrize(
    ("left", "state"), [((50, 500), PASS), ((9, 500), WARN), ((50, 10), WARN), ((1, 500), FAIL), ((50, 20), PASS)]
)
def test_disk(shop, set_free, check, left, state):
    """Little space or few inodes are a warning; less space than required is a failure."""
    set_free(*left)
    found = run_one(check, shop.server())
    assert found[0] == state
    assert (str(shop.folder) in found[1]) is True


def test_disk_of_backups(shop, set_free):
    """Backups require BACKUP_FREE, which is more than a deploy requires."""
    set_free(2.5)
    assert [run(check, shop.server())[0][0] for check in (disk.check_disk, disk.check_backups_disk)] == [WARN, FAIL]


def set_status(shop, job, **status):
    """Write a status file, as deploy/backup/status.sh does."""
    folder = shop.server().backup_states
    folder.mkdir(parents=True, exist_ok=True)
    now = int(time.time())
    lines = "".join(f"{name}={value}\n" for name, value in {"checked": now, "succeeded": now, **status}.items())
    (folder / job).write_text(lines, encoding="utf-8")


@pytest.fixture
def backed_up(shop):
    """A server with recent backups."""
    for job in ("wal", "base", "dump", "drill"):
        set_status(shop, job)
    return shop


def test_backups(backed_up):
    """Jobs that succeeded in time pass."""
    assert run_one(sidecars.check_backups, backed_up.server())[0] == PASS


@pytest.mark.parametrize("job", ["wal", "base", "dump", "drill"])
@pytest.mark.parametrize(
    ("status", "message"),
    [
        ({"succeeded": 5}, "last succeeded 1970-01-01T00:00:05Z"),
        ({"error": "the disk is full", "failing_since": 5}, "fails since 1970-01-01T00:00:05Z: the disk is full."),
    ],
)
def test_late_and_failing_backups(backed_up, job, status, message):
    """A late or failing job is named, with the command for its log."""
    set_status(backed_up, job, **status)
    found, text = run_one(sidecars.check_backups, backed_up.server())
    service = sidecars.SERVICES[job]
    assert (found, text.startswith(f"{job} {message}"), text.endswith(f"logs {service}")) == (FAIL, True, True)


def test_no_backup_yet(backed_up):
    """After the first deploy, a job that has never succeeded is a failure."""
    (backed_up.server().backup_states / "dump").unlink()
    assert run_one(sidecars.check_backups, backed_up.server())[0] == FAIL


def test_backups_before_the_first_deploy(new_shop):
    """Before the first deploy, missing backups are a warning."""
    assert run_one(sidecars.check_backups, new_shop.server())[0] == WARN


@pytest.mark.parametrize(("optional", "state"), [({}, WARN), ({"offsite-copy": {}}, PASS)])
def test_offsite(shop, optional, state):
    """Missing off-site copies are a warning."""
    shop.docker.optional = optional
    assert run_one(sidecars.check_offsite, shop.server())[0] == state


def certificate(shop, days=60.0, **details):
    """Write a status file, as deploy/certbot/status.py does."""
    end, now = (time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(time.time() + left)) for left in (days * 86400, 0))
    known = {"names": ["shop.example"], "issuer": "CN=Authority", "placeholder": False, "not_after": end, "error": ""}
    (shop.folder / "certificates").mkdir()
    text = json.dumps({**known, "failing_since": None, "checked": now, "interval": 43200, **details})
    (shop.folder / "certificates/status.json").write_text(text, encoding="utf-8")


@pytest.mark.parametrize(
    ("details", "state", "message"),
    [
        ({}, PASS, "it covers shop.example and expires in 60 days."),
        ({"days": 8}, PASS, "expires in 8 days"),
        ({"days": 6}, FAIL, "it expires in 6.0 days"),
        ({"days": -1}, FAIL, "it expires in -1.0 days"),
        ({"placeholder": True}, WARN, "a self-signed placeholder"),
        ({"error": "no such name", "failing_since": "yesterday"}, FAIL, "it fails since yesterday: no such name."),
        ({"checked": "2020-01-01T00:00:00Z"}, FAIL, "it has not been checked since 2020-01-01T00:00:00Z"),
        ({"names": ["other.example"]}, FAIL, "it does not cover shop.example."),
    ],
)
def test_certificate(shop, details, state, message):
    """A trusted, checked certificate that covers the names and does not expire soon passes."""
    certificate(shop, **details)
    found, text = run_one(sidecars.check_certificate, shop.server())
    assert (found, message in text) == (state, True), text


def test_certificate_unknown(shop):
    """A missing status is a warning."""
    assert run_one(sidecars.check_certificate, shop.server())[0] == WARN


@pytest.mark.parametrize(("kernel_state", "state"), [(0, PASS), (1, PASS), (5, WARN), (None, WARN)])
def test_clock(shop, monkeypatch, kernel_state, state):
    """An unsynchronised clock, or an unknown state, is a warning."""
    monkeypatch.setattr(clock, "kernel_state", lambda: kernel_state)
    assert run_one(clock.check, shop.server())[0] == state


def test_clock_of_this_machine():
    """The kernel returns one of its states, or forbids the call."""
    assert clock.kernel_state() in {None, *range(6)}


def rows(shop, *containers):
    """Make `docker compose ps` show these containers: (service, health, ports)."""
    shown = [
        {"Service": name, "State": "running", "Health": health, "Publishers": ports}
        for name, health, ports in containers
    ]
    shop.docker._ps = lambda _argv: "\n".join(map(json.dumps, shown))
    return shop.server()


def port(url, number):
    """Return a port in the form of `docker compose ps`."""
    return {"URL": url, "TargetPort": 5432, "PublishedPort": number, "Protocol": "tcp"}


HEALTHY = [
    ("web-green", "healthy", []),
    ("db", "healthy", []),
    ("backup", "", []),
    ("nginx", "healthy", [port("", 443)]),
]


def test_services(shop):
    """Healthy services pass without the idle colour."""
    assert run_one(services.check_services, rows(shop, *HEALTHY))[0] == PASS


@pytest.mark.parametrize(
    ("containers", "message"),
    [
        ([*HEALTHY[:3], ("nginx", "unhealthy", [])], "nginx is unhealthy."),
        (HEALTHY[:3], "nginx is missing."),
        (HEALTHY[1:], "web-green is missing."),
    ],
)
def test_unhealthy_services(shop, containers, message):
    """A missing or unhealthy service is named, with the command for its log."""
    found, text = run_one(services.check_services, rows(shop, *containers))
    assert (found, text) == (FAIL, f"{message} python3 -m ops logs {message.split()[0]}")


@pytest.mark.parametrize(
    ("ports", "state"),
    [
        ([], PASS),
        ([port("", 0)], PASS),
        ([port("127.0.0.1", 5432)], WARN),
        ([port("", 5432), port("::", 5432)], FAIL),
        ([port("192.0.2.1", 5432)], FAIL),
    ],
)
def test_ports(shop, ports, state):
    """A published port of another service is a failure, or a warning on the loopback address."""
    found, text = run_one(services.check_ports, rows(shop, HEALTHY[0], HEALTHY[3], ("db", "healthy", ports)))
    assert (found, "nginx (" in text) == (state, False)
    assert ("db (" in text) == (state != PASS)


@pytest.mark.parametrize(("url", "state"), [("127.0.0.1", PASS), ("", FAIL)])
def test_ports_of_monitoring(shop, url, state):
    """Prometheus may publish a port on the loopback address only."""
    found, _ = run_one(services.check_ports, rows(shop, HEALTHY[0], ("prometheus", "healthy", [port(url, 9090)])))
    assert found == state


@pytest.mark.parametrize(
    ("logging", "state"),
    [
        ({"driver": "json-file", "options": {"max-size": "20m"}}, PASS),
        ({"driver": "local"}, PASS),
        ({"driver": "json-file"}, WARN),
        (None, WARN),
    ],
)
def test_container_logs(shop, logging, state):
    """A log without a size limit is a warning."""
    server = shop.server()
    server.config["services"] = {"db": {"logging": logging}}
    found, text = run_one(services.check_logs, server)
    assert (found, "db" in text) == (state, state == WARN)


@pytest.mark.parametrize(
    ("plain", "secure", "states"),
    [
        ({"Location": "https://shop.example/health"}, {"Strict-Transport-Security": "max-age=1"}, [PASS]),
        ({"Location": "https://shop.example/health"}, {}, [WARN]),
        ({}, {"Strict-Transport-Security": "max-age=1"}, [FAIL]),
        ({"Location": "http://shop.example/health"}, {}, [FAIL, WARN]),
    ],
)
def test_https(shop, monkeypatch, plain, secure, states):
    """HTTP must redirect to HTTPS, and HTTPS should send Strict-Transport-Security."""
    monkeypatch.setattr(nginx, "get_public_headers", lambda _server, _path, tls=True: secure if tls else plain)
    assert [state for state, _ in run(https.check, shop.server())] == states


def test_https_unavailable(shop, monkeypatch):
    """An nginx that does not respond is one failure."""

    def refuse(*_argv, **_options):
        raise ConnectionRefusedError(111, "Connection refused")

    monkeypatch.setattr(nginx, "get_public_headers", refuse)
    assert run_one(https.check, shop.server())[0] == FAIL


@pytest.mark.parametrize("error", [OpsError("docker ps\nended with 1:\n    it is broken"), OSError(5, "I/O error")])
def test_check_error(shop, error):
    """An error in a check is a warning of one line."""

    def check(_server):
        raise error

    [found] = registry.run_check(registry.Check("some", check, ""), shop.server())
    assert (found.state, found.check, "\n" in found.reason) == (WARN, "some", False)
    assert found.reason.startswith(f"the check failed to run: {type(error).__name__}: ")


def test_names():
    """Check names are unique, and each check describes its findings."""
    assert Counter(check.name for check in registry.CHECKS).most_common(1)[0][1] == 1
    assert all(check.passes and (check.warns or check.fails) for check in registry.CHECKS)
    assert [check.name for check in registry.CHECKS if check.deploy == "stops"] == ["disk"]


def test_compose_file_limits_logs():
    """The compose file has the log limit that the check requires."""
    assert "logging: { driver: local, options: { max-size: 20m" in (ROOT / "docker-compose.prod.yml").read_text()
