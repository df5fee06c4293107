"""What of production is seen on the server alone: each check passes where all is well, and finds what is not."""

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
from ops.server.checks import edge as met
from ops.server.checks.finding import FAIL, PASS, WARN
from tests.support.helpers import ROOT
from tests.support.ops.fake_server import SECRETS

GIB = 2**30


def seen(look, server):
    """Return what a check finds, as (state, reason and remedy)."""
    return [(each.state, f"{each.reason} {each.remedy}") for each in look(server)]


def only(look, server):
    """Return the one finding of a check."""
    [found] = seen(look, server)
    return found


@pytest.fixture
def tidy(shop, monkeypatch):
    """A server whose files are as `init` makes them, with this user in the place of the containers'."""
    (shop.folder / "secrets").chmod(0o700)
    (shop.folder / "secrets/-").unlink()
    for name in SECRETS:
        (shop.folder / "secrets" / name).chmod(0o600)
    (shop.folder / ".env").chmod(0o600)
    monkeypatch.setattr(credentials, "OWNERS", {os.getuid(): SECRETS})
    return shop


def test_secret_files(tidy):
    """Files that only their user may read pass."""
    assert only(files.check_secrets, tidy.server()) == (PASS, "2 files, each for the one user that reads it. ")


@pytest.mark.parametrize(
    ("path", "mode", "says"),
    [
        ("secrets", 0o755, "secrets/ has mode 755"),
        ("secrets/secret_key", 0o644, "secret_key has mode 644"),
        ("secrets/cache_acl", 0o640, "cache_acl has mode 640"),
        ("secrets/cache_acl", 0o602, "cache_acl has mode 602"),
    ],
)
def test_secret_files_that_others_read(tidy, path, mode, says):
    """One that somebody else may read or change is named, with its mode."""
    (tidy.folder / path).chmod(mode)
    state, text = only(files.check_secrets, tidy.server())
    assert (state, text.startswith(f"{says}. sudo chmod")) == (FAIL, True)


def test_secret_files_of_another_user(tidy, monkeypatch):
    """One that the container's user does not own is named, with both."""
    monkeypatch.setattr(credentials, "OWNERS", {4711: SECRETS})
    state, text = only(files.check_secrets, tidy.server())
    assert (state, f"secret_key belongs to user {os.getuid()}, and 4711 reads it" in text) == (FAIL, True)


@pytest.mark.parametrize(
    ("mode", "line", "state", "says"),
    [
        (0o600, "TRUSTED_HOSTS=shop.example", PASS, "it has no secret"),
        (0o644, "TRUSTED_HOSTS=shop.example", WARN, "others may read .env (mode 644)"),
        (0o600, "SECRET_KEY=canary", WARN, ".env has SECRET_KEY"),
        (0o644, "SECRET_KEY=canary", FAIL, ".env has SECRET_KEY, and others may read it"),
        (0o644, "export DATABASE_URL=postgresql://app:canary@db/app", FAIL, ".env has DATABASE_URL"),
        (0o644, "SENTRY_DSN=https://canary@sentry.example/1", FAIL, ".env has SENTRY_DSN"),
        (0o644, "SECRET_KEY=", WARN, "others may read .env"),
        (0o622, "HSTS=max-age=1", FAIL, "others may change .env"),
    ],
)
def test_settings_file(tidy, mode, line, state, says):
    """Who may read .env, who may change it, and whether it has a secret, whose value is never said."""
    (tidy.folder / ".env").write_text(f"# PASSWORD=no setting\n{line}\n", encoding="utf-8")
    (tidy.folder / ".env").chmod(mode)
    found, text = only(files.check_settings, tidy.server())
    assert (found, says in text, "canary" in text) == (state, True, False)


@pytest.fixture
def room(monkeypatch):
    """Return a function that says how much is free of a disk of 100 GiB, and of a thousand inodes."""

    def make(free, inodes=500):
        usage = SimpleNamespace(free=free * GIB, total=100 * GIB)
        monkeypatch.setattr(shutil, "disk_usage", lambda _path: usage)
        monkeypatch.setattr(os, "statvfs", lambda _path: SimpleNamespace(f_files=1000, f_favail=inodes))
        monkeypatch.setattr("ops.release.preflight.FREE_BYTES", 2 * GIB)

    return make


@pytest.mark.parametrize("look", [disk.check_disk, disk.check_backups_disk])
@pytest.mark.parametrize(
    ("left", "state"), [((50, 500), PASS), ((9, 500), WARN), ((50, 10), WARN), ((1, 500), FAIL), ((50, 20), PASS)]
)
def test_disk(shop, room, look, left, state):
    """Room passes; less than a tenth, or few inodes, is a warning, and less than is needed a fault."""
    room(*left)
    found = only(look, shop.server())
    assert found[0] == state
    assert (str(shop.folder) in found[1]) is True


def test_disk_of_backups(shop, room):
    """Backups stop at BACKUP_FREE, which is more than a deploy needs."""
    room(2.5)
    assert [seen(look, shop.server())[0][0] for look in (disk.check_disk, disk.check_backups_disk)] == [WARN, FAIL]


def note(shop, job, **state):
    """Write down how a job went, as deploy/backup/status.sh does."""
    folder = shop.server().backup_states
    folder.mkdir(parents=True, exist_ok=True)
    now = int(time.time())
    lines = "".join(f"{name}={value}\n" for name, value in {"checked": now, "succeeded": now, **state}.items())
    (folder / job).write_text(lines, encoding="utf-8")


@pytest.fixture
def backed_up(shop):
    """A server whose backups are fresh."""
    for job in ("wal", "base", "dump", "drill"):
        note(shop, job)
    return shop


def test_backups(backed_up):
    """Where each job succeeded in time, all is well."""
    assert only(sidecars.check_backups, backed_up.server())[0] == PASS


@pytest.mark.parametrize("job", ["wal", "base", "dump", "drill"])
@pytest.mark.parametrize(
    ("state", "says"),
    [
        ({"succeeded": 5}, "last succeeded 1970-01-01T00:00:05Z"),
        ({"error": "the disk is full", "failing_since": 5}, "fails since 1970-01-01T00:00:05Z: the disk is full."),
    ],
)
def test_backups_that_are_late_or_fail(backed_up, job, state, says):
    """A job that is late or fails is named, with where to look."""
    note(backed_up, job, **state)
    found, text = only(sidecars.check_backups, backed_up.server())
    service = sidecars.SERVICES[job]
    assert (found, text.startswith(f"{job} {says}"), text.endswith(f"logs {service}")) == (FAIL, True, True)


def test_no_backup_yet(backed_up):
    """A job that has never succeeded is a fault, once something was deployed."""
    (backed_up.server().backup_states / "dump").unlink()
    assert only(sidecars.check_backups, backed_up.server())[0] == FAIL


def test_backups_before_the_first_deploy(new_shop):
    """Before that there is nothing to back up."""
    assert only(sidecars.check_backups, new_shop.server())[0] == WARN


@pytest.mark.parametrize(("optional", "state"), [({}, WARN), ({"offsite-copy": {}}, PASS)])
def test_offsite(shop, optional, state):
    """Backups on this machine alone are worth a warning."""
    shop.docker.optional = optional
    assert only(sidecars.check_offsite, shop.server())[0] == state


def certificate(shop, days=60.0, **details):
    """Write down how the certificate stands, as deploy/certbot/status.py does."""
    end, now = (time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(time.time() + left)) for left in (days * 86400, 0))
    known = {"names": ["shop.example"], "issuer": "CN=Authority", "placeholder": False, "not_after": end, "error": ""}
    (shop.folder / "certificates").mkdir()
    text = json.dumps({**known, "failing_since": None, "checked": now, "interval": 43200, **details})
    (shop.folder / "certificates/status.json").write_text(text, encoding="utf-8")


@pytest.mark.parametrize(
    ("details", "state", "says"),
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
def test_certificate(shop, details, state, says):
    """A certificate of an authority's, for the server's names, looked at and not about to end, passes."""
    certificate(shop, **details)
    found, text = only(sidecars.check_certificate, shop.server())
    assert (found, says in text) == (state, True), text


def test_certificate_unknown(shop):
    """Before anybody has looked at it, that is said."""
    assert only(sidecars.check_certificate, shop.server())[0] == WARN


@pytest.mark.parametrize(("kernel", "state"), [(0, PASS), (1, PASS), (5, WARN), (None, WARN)])
def test_clock(shop, monkeypatch, kernel, state):
    """A clock that nothing keeps right, or that cannot be asked about, is a warning."""
    monkeypatch.setattr(clock, "kernel", lambda: kernel)
    assert only(clock.check, shop.server())[0] == state


def test_clock_of_this_machine():
    """The kernel says one of its states, or that it may not be asked."""
    assert clock.kernel() in {None, *range(6)}


def rows(shop, *containers):
    """Let `docker compose ps` show these containers, as (service, health, ports)."""
    shown = [
        {"Service": name, "State": "running", "Health": health, "Publishers": ports}
        for name, health, ports in containers
    ]
    shop.docker._ps = lambda _words: "\n".join(map(json.dumps, shown))
    return shop.server()


def port(url, number):
    """Return a port as `docker compose ps` shows it."""
    return {"URL": url, "TargetPort": 5432, "PublishedPort": number, "Protocol": "tcp"}


WELL = [("web-green", "healthy", []), ("db", "healthy", []), ("backup", "", []), ("nginx", "healthy", [port("", 443)])]


def test_services(shop):
    """All that should run does; the idle colour need not."""
    assert only(services.check_services, rows(shop, *WELL))[0] == PASS


@pytest.mark.parametrize(
    ("containers", "says"),
    [
        ([*WELL[:3], ("nginx", "unhealthy", [])], "nginx is unhealthy."),
        (WELL[:3], "nginx is not there."),
        (WELL[1:], "web-green is not there."),
    ],
)
def test_services_that_are_ill(shop, containers, says):
    """One that is not there, or says that it is ill, is named, with where to look."""
    found, text = only(services.check_services, rows(shop, *containers))
    assert (found, text) == (FAIL, f"{says} python3 -m ops logs {says.split()[0]}")


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
    """A port of another service than nginx is a fault, unless this machine alone can reach it."""
    found, text = only(services.check_ports, rows(shop, WELL[0], WELL[3], ("db", "healthy", ports)))
    assert (found, "nginx (" in text) == (state, False)
    assert ("db (" in text) == (state != PASS)


@pytest.mark.parametrize(("url", "state"), [("127.0.0.1", PASS), ("", FAIL)])
def test_ports_of_what_watches(shop, url, state):
    """Prometheus is looked at by a tunnel to this machine; open to the network it is a fault like any other."""
    found, _ = only(services.check_ports, rows(shop, WELL[0], ("prometheus", "healthy", [port(url, 9090)])))
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
    """A log without a limit may fill the disk."""
    server = shop.server()
    server.config["services"] = {"db": {"logging": logging}}
    found, text = only(services.check_logs, server)
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
    """Plain HTTP must lead to HTTPS, and HTTPS should tell browsers to stay."""
    monkeypatch.setattr(nginx, "get_public_headers", lambda _server, _path, tls=True: secure if tls else plain)
    assert [state for state, _ in seen(met.check, shop.server())] == states


def test_https_away(shop, monkeypatch):
    """An edge that does not answer is a fault in one line."""

    def refuse(*_words, **_options):
        raise ConnectionRefusedError(111, "Connection refused")

    monkeypatch.setattr(nginx, "get_public_headers", refuse)
    assert only(met.check, shop.server())[0] == FAIL


@pytest.mark.parametrize("error", [OpsError("docker ps\nended with 1:\n    it is broken"), OSError(5, "I/O error")])
def test_unseen(shop, error):
    """A check that cannot be made says nothing of the server, so it is a warning, in one line."""

    def look(_server):
        raise error

    [found] = registry.made(registry.Check("some", look, ""), shop.server())
    assert (found.state, found.check, "\n" in found.reason) == (WARN, "some", False)
    assert found.reason.startswith(f"could not be looked at: {type(error).__name__}: ")


def test_names():
    """Each check has a name of its own, and says what it finds."""
    assert Counter(check.name for check in registry.CHECKS).most_common(1)[0][1] == 1
    assert all(check.passes and (check.warns or check.fails) for check in registry.CHECKS)
    assert [check.name for check in registry.CHECKS if check.deploy == "stops"] == ["disk"]


def test_the_bundle_bounds_its_logs():
    """What the check asks for is what the compose file has."""
    assert "logging: { driver: local, options: { max-size: 20m" in (ROOT / "docker-compose.prod.yml").read_text()
