"""The production check: a new server passes, and each bad setting is found."""

import json
import time
from contextlib import contextmanager

import pytest

from tests.support.helpers import free_port, wait_for

GUESSABLE_KEY = "this-is-a-very-long-secret-key-for-my-application"
CERTBOT = "  certbot: #"
EVICTING, NON_EVICTING = "--maxmemory-policy, allkeys-lfu", "--maxmemory-policy, noeviction"
pytestmark = pytest.mark.timeout(600)


@pytest.fixture(scope="module")
def site(new_server, one):
    """A healthy server with fresh backups."""
    server = new_server()
    server.ops("deploy", one)
    wait_for(lambda: not any(server.backup_errors()), seconds=90, pause=0.5)
    wait_for(lambda: set(server.status()["services"].values()) == {"healthy"}, seconds=120, pause=0.5)
    return server


def check(site, *options):
    """Run `ops check` and return the findings; no secret is printed."""
    completed = site.ops("check", "--json", *options, check=False)
    assert "Traceback" not in completed.stdout
    texts = [path.read_text().strip() for path in (site.folder / "secrets").iterdir()]
    assert [text for text in texts if text and text in completed.stdout] == []
    findings = json.loads(completed.stdout)
    fails = any(each["state"] == "FAIL" for each in findings)
    assert (completed.returncode, all(each["reason"] for each in findings)) == (int(fails), True), completed.stdout
    return findings


def failed(site):
    """Return the failing checks with their reasons."""
    return {each["check"]: each["reason"] for each in check(site) if each["state"] == "FAIL"}


@contextmanager
def replaced_text(path, text):
    """Replace a file's text for the block, keeping owner and mode."""
    before = path.read_text()
    path.write_text(text)
    try:
        yield
    finally:
        path.write_text(before)


@contextmanager
def changed_service(site, service, old, new):
    """Run a service with a changed definition for the block."""
    path = site.folder / "docker-compose.prod.yml"
    up = ("up", "--detach", "--no-deps", "--wait", service)
    assert old in path.read_text()
    try:
        with replaced_text(path, path.read_text().replace(old, new)):
            site.compose(*up)
            yield
    finally:
        site.compose(*up)


@pytest.mark.guarantee("A newly initialised server fails no production check")
def test_a_new_server_fails_no_check(site):
    """A new server fails no check, and warns only where a person has to decide or provide something."""
    findings = check(site)
    assert [each for each in findings if each["state"] == "FAIL"] == []
    warnings = {each["check"] for each in findings if each["state"] == "WARN"}
    assert warnings <= {"hsts", "offsite", "certificate", "host-clock", "disk", "backups-disk"}, warnings
    assert {"hsts", "offsite", "certificate"} <= warnings


def test_strict_fails_on_warnings(site):
    """With --strict a warning makes the exit code 1."""
    assert site.ops("check", "--strict", check=False).returncode == 1


def test_the_flask_command(site):
    """`flask check-production` in the active container runs the application's checks, and none fails."""
    command = ("flask", "--app", "wsgi", "check-production", "--json")
    completed = site.compose("exec", "-T", f"web-{site.status()['active_colour']}", *command)
    findings = json.loads(completed.stdout)
    assert {each["check"] for each in findings} >= {"keys", "privileges", "migrations", "cache", "cookies", "timeouts"}
    assert {each["check"] for each in findings if each["state"] != "PASS"} == {"hsts"}


@pytest.mark.guarantee(
    "The production check finds weak, leaked and misconfigured settings and prints the remedy and no secret"
)
def test_a_guessable_key_is_found(site):
    """A secret key made of words fails the check."""
    with replaced_text(site.folder / "secrets/secret_key", GUESSABLE_KEY):
        findings = failed(site)
    assert (list(findings), "looks like words" in findings["keys"]) == (["keys"], True)


@pytest.mark.guarantee(
    "The production check finds weak, leaked and misconfigured settings and prints the remedy and no secret"
)
def test_a_world_readable_secret_is_found(site):
    """A world-readable secret fails in the container and on the server."""
    path = site.folder / "secrets/cache_url"
    path.chmod(0o644)
    try:
        findings = failed(site)
    finally:
        path.chmod(0o600)
    assert set(findings) == {"files", "secret-files"}
    assert "cache_url" in findings["files"]
    assert "cache_url has mode 644" in findings["secret-files"]


@contextmanager
def superuser(site):
    """Make the application's role a superuser for the block."""
    site.sql("ALTER ROLE app SUPERUSER")
    try:
        yield
    finally:
        site.sql("ALTER ROLE app NOSUPERUSER")


@pytest.mark.guarantee(
    "The production check finds weak, leaked and misconfigured settings and prints the remedy and no secret"
)
def test_a_superuser_fails_the_check_and_the_deploy(site, one):
    """A superuser role fails the check, and the deploy stops at its preflight without moving users."""
    before = site.status()["active_colour"]
    with superuser(site):
        assert set(failed(site)) == {"privileges"}
        completed = site.ops("deploy", one, check=False)
    assert (completed.returncode, "deploy stopped at “preflight”" in completed.stdout) == (1, True), completed.stdout
    assert "    FAIL privileges: the application's role, app, has administrative attributes" in completed.stdout
    assert site.status()["active_colour"] == before


@pytest.mark.guarantee(
    "The production check finds weak, leaked and misconfigured settings and prints the remedy and no secret"
)
def test_a_cache_without_eviction_is_found(site):
    """A cache that never evicts fails the check."""
    with changed_service(site, "redis-cache", EVICTING, NON_EVICTING):
        findings = failed(site)
    assert (list(findings), "noeviction" in findings["cache"]) == (["cache"], True)


@pytest.mark.guarantee(
    "The production check finds weak, leaked and misconfigured settings and prints the remedy and no secret"
)
def test_a_port_that_bypasses_nginx_is_found(site):
    """A published port that bypasses nginx fails the check."""
    with_port = f'  certbot:\n    ports: ["{free_port()}:8000"]\n    # '
    with changed_service(site, "certbot", CERTBOT, with_port):
        findings = failed(site)
    assert (list(findings), "certbot (" in findings["ports"]) == (["ports"], True)


@contextmanager
def failing_dump(site):
    """Record failing dumps for the block, as deploy/backup/status.sh does; nothing retries for 15 minutes."""
    path = site.folder / "state/backups/dump"
    with replaced_text(path, f"checked={int(time.time())}\nerror=the disk is full\nfailing_since=5\n"):
        yield


def test_failing_backups_fail_the_check_and_warn_the_deploy(site, one):
    """Failing backups fail the check; a deploy warns and continues."""
    with failing_dump(site):
        findings = failed(site)
        completed = site.ops("deploy", one)
    assert "dump fails since 1970-01-01T00:00:05Z: the disk is full." in findings["backups"]
    assert "    WARN backups: dump fails since 1970-01-01T00:00:05Z: the disk is full." in completed.stdout


@contextmanager
def stopped(site, service):
    """Stop a service for the block."""
    site.compose("stop", service)
    try:
        yield
    finally:
        site.compose("start", service)
        wait_for(lambda: site.status()["services"][service] == "healthy", seconds=60, pause=0.5)


def test_an_unavailable_database_fails_its_checks(site):
    """With Postgres stopped, each check that needs it fails with a remedy, the others run, within two minutes."""
    start = time.monotonic()
    with stopped(site, "db"):
        findings = {each["check"]: each for each in check(site)}
    assert time.monotonic() - start < 120
    assert {name for name, each in findings.items() if each["state"] == "FAIL"} >= {
        "privileges",
        "migrations",
        "services",
    }
    assert "Is db up? docker compose ps" in findings["privileges"]["remedy"]
    assert "\n" not in findings["privileges"]["reason"]
    assert findings["cache"]["state"] == findings["keys"]["state"] == "PASS"
