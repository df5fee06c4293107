"""`docker compose up` on a fresh checkout: no .env, no variable, and everything works when it returns."""

from datetime import UTC, datetime

import pytest

pytestmark = pytest.mark.smoke

READY = {"database": "connected", "migrations": "current", "redis": "connected"}
LASTING = {"nginx", "web", "db", "redis"}


def test_up_with_no_setting_succeeds(first_start):
    """`docker compose up --detach --wait` without a setting returns 0."""
    assert first_start.done.returncode == 0, first_start.done.stderr


def test_when_up_returns_the_process_answers(first_start):
    """The moment it returns, /health answers through nginx."""
    assert first_start.answers["/health"].json == {"status": "healthy"}


def test_when_up_returns_every_backend_answers(first_start):
    """The moment it returns, database, cache and schema are ready."""
    assert first_start.answers["/health/ready"].json == {"status": "ready", "checks": READY}


def test_when_up_returns_the_catalogue_answers(first_start):
    """The moment it returns, the catalogue is there, and empty."""
    assert first_start.answers["/api/products"].status == 200
    assert first_start.answers["/api/products"].json["items"] == []


def test_web_starts_after_the_migrations(first_start):
    """The migrations have ended well before web begins."""
    migrate, web = first_start.states["migrate"], first_start.states["web"]
    assert migrate["ExitCode"] == 0
    assert moment(migrate["FinishedAt"]) <= moment(web["StartedAt"])


def test_every_lasting_service_has_a_health(first_start):
    """`docker compose ps` shows a health for each service that lasts, so that --wait waits for it."""
    health = {service: row["Health"] for service, row in first_start.ps.items() if service != "migrate"}
    assert health == dict.fromkeys(LASTING, "healthy")


def test_the_compose_file_warns_about_nothing(first_start):
    """`docker compose config` has nothing to say."""
    done = first_start.stack.compose("config", "--quiet")
    assert done.stdout + done.stderr == ""


def test_nginx_warns_about_nothing(running):
    """`nginx -t` finds the configuration well and has no warning."""
    done = running.compose("exec", "-T", "nginx", "nginx", "-c", "/etc/nginx/edge/nginx.conf", "-t")
    assert "test is successful" in done.stderr
    assert "[" not in done.stderr, done.stderr


def test_products_outlive_down_and_up(stack, product):
    """What was created through the API is still there after `docker compose down` and `up`."""
    stack.compose("down")
    stack.up()
    assert stack.ask(product).status == 200


def moment(text):
    """Read Docker's time, of nanoseconds, to the microsecond."""
    return datetime.fromisoformat(text[:26].rstrip("Z")).replace(tzinfo=UTC)
