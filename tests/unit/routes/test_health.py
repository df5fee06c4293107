"""Liveness, readiness and version."""

from app.observability import probes


def test_alive(client):
    """Liveness succeeds without a usable database."""
    response = client.get("/health")
    assert (response.status_code, response.json) == (200, {"status": "healthy"})


def test_alive_runs_no_probe(app, client):
    """Liveness runs no probe, because a restart does not repair a database."""
    probes.register(app, "database", lambda: 1 / 0, required=True)
    assert client.get("/health").status_code == 200


def test_not_ready(client):
    """An application whose schema is behind is not ready."""
    response = client.get("/health/ready")
    assert (response.status_code, response.mimetype) == (503, "application/json")
    assert response.json == {"status": "unavailable", "checks": {"database": "connected", "migrations": "unavailable"}}


def test_concurrent_probes(client):
    """Probes that share an in-memory database's connection do not affect each other."""
    responses = [client.get("/health/ready").json["checks"]["database"] for _ in range(300)]
    assert set(responses) == {"connected"}


def test_ready(app, client):
    """An application is ready if every probe succeeds."""
    probes.register(app, "migrations", lambda: "current", required=True)
    response = client.get("/health/ready")
    assert (response.status_code, response.json["status"]) == (200, "ready")
    assert response.headers["Cache-Control"] == "no-store"


def test_degraded(app, client):
    """An application without its cache is degraded but ready."""
    probes.register(app, "migrations", lambda: "current", required=True)
    probes.register(app, "redis", lambda: 1 / 0, required=False)
    response = client.get("/health/ready")
    assert (response.status_code, response.json["status"], response.json["checks"]["redis"]) == (
        200,
        "degraded",
        "unavailable",
    )


def test_version(make_app):
    """The version endpoint returns the release and the environment."""
    response = make_app(RELEASE="abc123").test_client().get("/health/version")
    assert response.json == {"release": "abc123", "environment": "testing"}
