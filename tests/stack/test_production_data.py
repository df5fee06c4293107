"""What each user of Postgres and Redis may do on a server in production, and nothing else."""

import pytest

from tests.helpers import wait_for

ROLES = {"app": "app_password", "app_owner": "owner_password"}


@pytest.fixture(scope="module")
def psql(server):
    """Return a function that runs SQL as a role and returns what came of it."""

    def run(role, text):
        script = f'PGPASSWORD=$(cat /run/secrets/{ROLES[role]}) exec psql -h 127.0.0.1 -U {role} -d app -At -c "$0"'
        return server.compose("exec", "-T", "db", "bash", "-c", script, text, check=False)

    return run


@pytest.fixture(scope="module")
def redis(server):
    """Return a function that sends a command to a Redis as its user and returns the answer."""

    def run(role, *words):
        script = f'REDISCLI_AUTH=$(cat /run/secrets/{role}) exec redis-cli --user {role} "$@"'
        done = server.compose("exec", "-T", f"redis-{role}", "bash", "-c", script, "-", *words, check=False)
        return (done.stdout + done.stderr).strip()

    return run


@pytest.mark.parametrize(
    ("statement", "says"),
    [
        ("CREATE TABLE mine (id int)", "permission denied for schema public"),
        ("CREATE TEMP TABLE mine (id int)", "permission denied to create temporary tables"),
        ("CREATE SCHEMA mine", "permission denied for database app"),
        ("DROP TABLE products", "must be owner of table products"),
        ("ALTER TABLE products ADD COLUMN mine int", "must be owner of table products"),
        ("TRUNCATE products", "permission denied for table products"),
        ("COPY products FROM PROGRAM 'id'", "permission denied to COPY to or from an external program"),
        ("SELECT pg_read_file('/etc/passwd')", "permission denied for function pg_read_file"),
        ("SET ROLE app_owner", "permission denied to set role"),
    ],
)
def test_the_application_may_only_read_and_write_rows(psql, statement, says):
    """Its role cannot change the schema, run a program on the server or become anybody else."""
    assert says in psql("app", statement).stderr


def test_the_application_reads_and_writes_rows(psql):
    """It may do that, so the refusals are not those of a role that may do nothing."""
    assert psql("app", "DELETE FROM products WHERE sku = 'none'; SELECT 'done'").stdout.splitlines()[-1] == "done"


@pytest.mark.parametrize("role", ROLES)
def test_no_role_of_ours_is_mighty(psql, role):
    """Neither may do everything, make roles or databases, or pass the rows' own rules."""
    rights = "rolsuper, rolcreaterole, rolcreatedb, rolreplication, rolbypassrls"
    assert psql(role, f"SELECT {rights} FROM pg_roles WHERE rolname = CURRENT_USER").stdout.strip() == "f|f|f|f|f"


def test_the_migrating_role_owns_the_schema(psql):
    """Each table is its own, and so is the schema."""
    owners = "SELECT tableowner FROM pg_tables WHERE schemaname = 'public'"
    schema = "SELECT nspowner::regrole::text FROM pg_namespace WHERE nspname = 'public'"
    assert set(psql("app_owner", f"{owners} UNION {schema}").stdout.split()) == {"app_owner"}


@pytest.mark.parametrize("where", [["-h", "127.0.0.1"], []])
@pytest.mark.parametrize("role", [*ROLES, "postgres"])
def test_postgres_wants_a_password_from_everybody(server, role, where):
    """So it does even in its own container, over the socket as over the network."""
    words = ("psql", "--no-password", *where, "-U", role, "-d", "app", "-c", "SELECT 1")
    done = server.compose("exec", "-T", "db", *words, check=False)
    assert "no password supplied" in done.stderr


@pytest.mark.parametrize("role", ["cache", "sessions"])
def test_redis_wants_a_password(server, role):
    """Who has none may not even ask whether it is there."""
    done = server.compose("exec", "-T", f"redis-{role}", "redis-cli", "ping", check=False)
    assert "NOAUTH" in done.stdout + done.stderr


@pytest.mark.parametrize(
    "command",
    ["SET mine 1", "MGET mine", "KEYS *", "FLUSHALL", "CONFIG GET *", "ACL LIST", "PUBLISH mine 1", "EVAL 1 0"],
)
def test_the_caches_user_may_do_nothing_beside_its_work(redis, command):
    """It reaches no other key or channel, and none of the commands that operate the server."""
    assert redis("cache", *command.split()).startswith("NOPERM")


def test_the_caches_user_may_write_its_own_keys(redis):
    """It may do that, so the refusals are not those of a user that may do nothing."""
    assert redis("cache", "SET", "cache:mine", "1", "PX", "1000") == "OK"


@pytest.mark.parametrize("command", ["FLUSHALL", "CONFIG GET *", "ACL LIST", "SHUTDOWN", "REPLICAOF NO ONE"])
def test_the_sessions_user_may_not_operate_the_server(redis, command):
    """It has all keys, and none of the commands that operate the server."""
    assert redis("sessions", *command.split()).startswith("NOPERM")


def test_sessions_are_never_evicted_and_the_cache_is(redis):
    """Full, the one refuses to write and the other forgets what is least used."""
    policies = {role: redis(role, "INFO", "memory") for role in ("cache", "sessions")}
    assert "maxmemory_policy:allkeys-lfu" in policies["cache"]
    assert "maxmemory_policy:noeviction" in policies["sessions"]


def test_sessions_are_there_after_a_restart(server, redis):
    """What is written there is on the disk, and read again."""
    assert redis("sessions", "SET", "mine", "kept") == "OK"
    server.compose("restart", "redis-sessions")
    assert wait_for(lambda: redis("sessions", "GET", "mine") == "kept", pause=0.2)
