"""The production check on a server as an operator has it: as set up it fails nothing, and each bad thing is found."""

import json
import time
from contextlib import contextmanager

import pytest

from tests.support.helpers import free_port, wait_for

WORDS = "this-is-a-very-long-secret-key-for-my-application"
CERTBOT = "  certbot: #"
EVICTS, KEEPS = "--maxmemory-policy, allkeys-lfu", "--maxmemory-policy, noeviction"
pytestmark = pytest.mark.timeout(600)


@pytest.fixture(scope="module")
def site(new_server, one):
    """A server on which the first release serves, all of which is well, and whose backups are fresh."""
    server = new_server()
    server.ops("deploy", one)
    wait_for(lambda: not any(server.backup_faults()), seconds=90, pause=0.5)
    wait_for(lambda: set(server.status()["services"].values()) == {"healthy"}, seconds=120, pause=0.5)
    return server


def check(site, *words):
    """Make every check, as an operator does, and return the findings; no secret is among what is printed."""
    done = site.ops("check", "--json", *words, check=False)
    assert "Traceback" not in done.stdout
    texts = [path.read_text().strip() for path in (site.folder / "secrets").iterdir()]
    assert [text for text in texts if text and text in done.stdout] == []
    found = json.loads(done.stdout)
    fails = any(each["state"] == "FAIL" for each in found)
    assert (done.returncode, all(each["reason"] for each in found)) == (int(fails), True), done.stdout
    return found


def failed(site):
    """Return the names of the checks that fail, with what they say."""
    return {each["check"]: each["reason"] for each in check(site) if each["state"] == "FAIL"}


@contextmanager
def text_of(path, text):
    """Put another text into a file, which keeps its owner and mode, around the block."""
    before = path.read_text()
    path.write_text(text)
    try:
        yield
    finally:
        path.write_text(before)


@contextmanager
def compose_file(site, service, old, new):
    """Run a service by another definition around the block."""
    path = site.folder / "docker-compose.prod.yml"
    up = ("up", "--detach", "--no-deps", "--wait", service)
    assert old in path.read_text()
    try:
        with text_of(path, path.read_text().replace(old, new)):
            site.compose(*up)
            yield
    finally:
        site.compose(*up)


def test_as_set_up_it_fails_nothing(site):
    """The bundle as it is set up passes, and warns only of what a person has yet to decide or to bring along."""
    found = check(site)
    assert [each for each in found if each["state"] == "FAIL"] == []
    warned = {each["check"] for each in found if each["state"] == "WARN"}
    assert warned <= {"hsts", "offsite", "certificate", "host-clock", "disk", "backups-disk"}, warned
    assert {"hsts", "offsite", "certificate"} <= warned


def test_strictly_a_warning_fails(site):
    """With --strict it ends with 1 for those."""
    assert site.ops("check", "--strict", check=False).returncode == 1


def test_the_flask_command(site):
    """In the container that serves, `flask check-production` makes the application's checks, and nothing fails."""
    words = ("flask", "--app", "wsgi", "check-production", "--json")
    done = site.compose("exec", "-T", f"web-{site.status()['active_colour']}", *words)
    found = json.loads(done.stdout)
    assert {each["check"] for each in found} >= {"keys", "privileges", "migrations", "cache", "cookies", "timeouts"}
    assert {each["check"] for each in found if each["state"] != "PASS"} == {"hsts"}


def test_a_guessable_key_is_found(site):
    """A key of words signs nothing for long."""
    with text_of(site.folder / "secrets/secret_key", WORDS):
        found = failed(site)
    assert (list(found), "looks like words" in found["keys"]) == (["keys"], True)


def test_a_secret_that_all_may_read_is_found(site):
    """The container sees it by its mode, and so does the server."""
    path = site.folder / "secrets/cache_url"
    path.chmod(0o644)
    try:
        found = failed(site)
    finally:
        path.chmod(0o600)
    assert set(found) == {"files", "secret-files"}
    assert "cache_url" in found["files"]
    assert "cache_url has mode 644" in found["secret-files"]


@contextmanager
def mighty(site):
    """Make the application's role a superuser around the block."""
    site.sql("ALTER ROLE app SUPERUSER")
    try:
        yield
    finally:
        site.sql("ALTER ROLE app NOSUPERUSER")


def test_a_superuser_is_found_and_refuses_a_deploy(site, one):
    """A role that may do everything is found; a deploy stops at that, and users stay where they are."""
    before = site.status()["active_colour"]
    with mighty(site):
        assert set(failed(site)) == {"privileges"}
        done = site.ops("deploy", one, check=False)
    assert (done.returncode, "deploy stopped at “preflight”" in done.stdout) == (1, True), done.stdout
    assert "    FAIL rights: the application's role, app, is more than an ordinary role" in done.stdout
    assert site.status()["active_colour"] == before


def test_a_cache_that_evicts_nothing_is_found(site):
    """A full cache that keeps everything is of no use."""
    with compose_file(site, "redis-cache", EVICTS, KEEPS):
        found = failed(site)
    assert (list(found), "noeviction" in found["cache"]) == (["cache"], True)


def test_a_port_past_nginx_is_found(site):
    """A service that was opened to the network is found on its running container."""
    opened = f'  certbot:\n    ports: ["{free_port()}:8000"]\n    # '
    with compose_file(site, "certbot", CERTBOT, opened):
        found = failed(site)
    assert (list(found), "certbot (" in found["ports"]) == (["ports"], True)


@contextmanager
def failing_dump(site):
    """Note that dumps fail around the block, as deploy/backup/status.sh does; nothing tries again for 15 minutes."""
    path = site.folder / "state/backups/dump"
    with text_of(path, f"checked={int(time.time())}\nerror=the disk is full\nfailing_since=5\n"):
        yield


def test_backups_that_fail_are_found_and_let_a_deploy_pass(site, one):
    """The check fails for them; a deploy says so loudly, and brings its release all the same."""
    with failing_dump(site):
        found = failed(site)
        done = site.ops("deploy", one)
    assert "dump fails since 1970-01-01T00:00:05Z: the disk is full." in found["backups"]
    assert "    WARN backups: dump fails since 1970-01-01T00:00:05Z: the disk is full." in done.stdout


@contextmanager
def stopped(site, service):
    """Stop a service around the block."""
    site.compose("stop", service)
    try:
        yield
    finally:
        site.compose("start", service)
        wait_for(lambda: site.status()["services"][service] == "healthy", seconds=60, pause=0.5)


def test_a_database_that_is_away_is_said_in_a_line_for_each_check(site):
    """Each check that asks it fails, with where to look, and the others are made; it takes no longer than it should."""
    began = time.monotonic()
    with stopped(site, "db"):
        found = {each["check"]: each for each in check(site)}
    assert time.monotonic() - began < 120
    assert {name for name, each in found.items() if each["state"] == "FAIL"} >= {"privileges", "migrations", "services"}
    assert "Is db up? docker compose ps" in found["privileges"]["remedy"]
    assert "\n" not in found["privileges"]["reason"]
    assert found["cache"]["state"] == found["keys"]["state"] == "PASS"
