"""The three questions of operations, in an application with nothing behind it."""

from app.observability import probes


def test_alive(client):
    """The process says that it is up without asking anybody: the database has not even a table."""
    answer = client.get("/health")
    assert (answer.status_code, answer.json) == (200, {"status": "healthy"})


def test_alive_asks_nobody(app, client):
    """No probe runs for it: a restart does not mend a database."""
    probes.register(app, "database", lambda: 1 / 0, essential=True)
    assert client.get("/health").status_code == 200


def test_not_ready(client):
    """With an empty database the schema is behind: no requests should be sent here."""
    answer = client.get("/health/ready")
    assert (answer.status_code, answer.mimetype) == (503, "application/json")
    assert answer.json == {"status": "unavailable", "checks": {"database": "connected", "migrations": "unavailable"}}


def test_probes_do_not_disturb_each_other(client):
    """They run side by side, on one connection where the database is in memory, and each answer is its own."""
    answers = [client.get("/health/ready").json["checks"]["database"] for _ in range(300)]
    assert set(answers) == {"connected"}


def test_ready(app, client):
    """When every probe is content, they should."""
    probes.register(app, "migrations", lambda: "current", essential=True)
    answer = client.get("/health/ready")
    assert (answer.status_code, answer.json["status"]) == (200, "ready")
    assert answer.headers["Cache-Control"] == "no-store"


def test_degraded(app, client):
    """Without its cache it is slower, and still ready."""
    probes.register(app, "migrations", lambda: "current", essential=True)
    probes.register(app, "redis", lambda: 1 / 0, essential=False)
    answer = client.get("/health/ready")
    assert (answer.status_code, answer.json["status"], answer.json["checks"]["redis"]) == (
        200,
        "degraded",
        "unavailable",
    )


def test_version(make_app):
    """It says which build runs, and as what."""
    answer = make_app(RELEASE="abc123").test_client().get("/health/version")
    assert answer.json == {"release": "abc123", "environment": "testing"}
