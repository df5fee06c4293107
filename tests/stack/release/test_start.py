"""`docker compose up` on a fresh checkout: no settings, and everything works when it returns."""

from datetime import UTC, datetime

import pytest

pytestmark = pytest.mark.smoke

READY = {"database": "connected", "migrations": "current", "redis": "connected"}
LONG_RUNNING = {"nginx", "web", "db", "redis"}


@pytest.mark.guarantee(
    "`docker compose up -d --wait` returns when every service is healthy, and a restart keeps the data"
)
def test_up_succeeds_without_settings(first_start):
    """`docker compose up --detach --wait` without a setting returns 0."""
    assert first_start.completed.returncode == 0, first_start.completed.stderr


def test_health_responds_after_up(first_start):
    """When `up` returns, /health responds through nginx."""
    assert first_start.responses["/health"].json == {"status": "healthy"}


def test_readiness_succeeds_after_up(first_start):
    """When `up` returns, database, cache and schema are ready."""
    assert first_start.responses["/health/ready"].json == {"status": "ready", "checks": READY}


def test_the_catalogue_responds_after_up(first_start):
    """When `up` returns, the catalogue responds and is empty."""
    assert first_start.responses["/api/products"].status == 200
    assert first_start.responses["/api/products"].json["items"] == []


def test_web_starts_after_the_migrations(first_start):
    """The migrations have ended before web starts."""
    migrate, web = first_start.states["migrate"], first_start.states["web"]
    assert migrate["ExitCode"] == 0
    assert timestamp(migrate["FinishedAt"]) <= timestamp(web["StartedAt"])


def test_every_service_has_a_health_check(first_start):
    """Each long-running service has a health check, so that --wait waits for it."""
    health = {service: row["Health"] for service, row in first_start.ps.items() if service != "migrate"}
    assert health == dict.fromkeys(LONG_RUNNING, "healthy")


def test_compose_prints_no_warning(first_start):
    """`docker compose config` prints no warning."""
    completed = first_start.stack.compose("config", "--quiet")
    assert completed.stdout + completed.stderr == ""


def test_nginx_prints_no_warning(running):
    """`nginx -t` succeeds without a warning."""
    completed = running.compose("exec", "-T", "nginx", "nginx", "-c", "/etc/nginx/edge/nginx.conf", "-t")
    assert "test is successful" in completed.stderr
    assert "[" not in completed.stderr, completed.stderr


@pytest.mark.guarantee(
    "`docker compose up -d --wait` returns when every service is healthy, and a restart keeps the data"
)
def test_products_survive_down_and_up(stack, product):
    """A product survives `docker compose down` and `up`."""
    stack.compose("down")
    stack.up()
    assert stack.request(product).status == 200


def timestamp(text):
    """Parse Docker's nanosecond timestamp to microseconds."""
    return datetime.fromisoformat(text[:26].rstrip("Z")).replace(tzinfo=UTC)
