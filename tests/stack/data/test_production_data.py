"""Least privilege of each Postgres role and Redis user in production."""

import pytest

from tests.support.helpers import wait_for

ROLES = {
    "app": "app_password",
    "app_owner": "owner_password",
    "app_backup": "backup_password",
    "app_monitor": "monitor_password",
}
ATTRIBUTES = ("rolsuper", "rolcreaterole", "rolcreatedb", "rolreplication", "rolbypassrls")


@pytest.fixture(scope="module")
def psql(server):
    """Return a function that runs SQL as a role and returns the result."""

    def run(role, text):
        script = f'PGPASSWORD=$(cat /run/secrets/{ROLES[role]}) exec psql -h 127.0.0.1 -U {role} -d app -At -c "$0"'
        return server.compose("exec", "-T", "db", "bash", "-c", script, text, check=False)

    return run


@pytest.fixture(scope="module")
def redis(server):
    """Return a function that sends a command to a Redis as its user and returns the reply."""

    def run(role, *argv):
        script = f'REDISCLI_AUTH=$(cat /run/secrets/{role}) exec redis-cli --user {role} "$@"'
        done = server.compose("exec", "-T", f"redis-{role}", "bash", "-c", script, "-", *argv, check=False)
        return (done.stdout + done.stderr).strip()

    return run


@pytest.mark.guarantee(
    "The application's database role can only read and write rows; Redis users are restricted likewise"
)
@pytest.mark.parametrize(
    ("statement", "message"),
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
def test_application_role_is_restricted(psql, statement, message):
    """The application's role cannot change the schema, run a program or change role."""
    assert message in psql("app", statement).stderr


def test_application_role_reads_and_writes_rows(psql):
    """The application's role can write rows, so the refusals above are specific."""
    assert psql("app", "DELETE FROM products WHERE sku = 'none'; SELECT 'done'").stdout.splitlines()[-1] == "done"


@pytest.mark.parametrize("role", ROLES)
def test_role_attributes(psql, role):
    """No role is a superuser or creates roles or databases; only app_backup replicates and bypasses RLS."""
    response = psql(role, f"SELECT {', '.join(ATTRIBUTES)} FROM pg_roles WHERE rolname = CURRENT_USER").stdout.strip()
    assert response == ("f|f|f|t|t" if role == "app_backup" else "f|f|f|f|f")


@pytest.mark.parametrize("role", ["app_backup", "app_monitor"])
@pytest.mark.parametrize("statement", ["DELETE FROM public.products", "CREATE TABLE public.mine (id int)"])
def test_read_only_roles(psql, role, statement):
    """Backups and monitoring cannot write, even in a read-write transaction."""
    assert "permission denied" in psql(role, f"SET TRANSACTION READ WRITE; {statement}").stderr


def test_monitoring_role(psql):
    """Monitoring reads the server's statistics and no row."""
    assert int(psql("app_monitor", "SELECT count(*) FROM monitor.pg_stat_statements").stdout) > 0
    assert psql("app_monitor", "SELECT count(*) FROM pg_stat_activity WHERE query <> ''").stdout.strip() != "0"
    assert "permission denied" in psql("app_monitor", "SELECT * FROM public.products").stderr


LIMITS = {
    "app": {"statement_timeout": "15s", "lock_timeout": "5s", "idle_in_transaction_session_timeout": "30s"},
    "app_owner": {"lock_timeout": "3s", "idle_in_transaction_session_timeout": "1min", "idle_session_timeout": "1h"},
    "app_backup": {"lock_timeout": "10s", "default_transaction_read_only": "on", "statement_timeout": "0"},
    "app_monitor": {"statement_timeout": "5s", "lock_timeout": "1s", "idle_session_timeout": "10min"},
}


@pytest.mark.parametrize("role", LIMITS)
def test_role_timeouts(psql, role):
    """Each role has default timeouts."""
    names = ", ".join(f"current_setting('{name}')" for name in LIMITS[role])
    assert psql(role, f"SELECT {names}").stdout.strip().split("|") == list(LIMITS[role].values())


def test_superuser_over_the_network(server):
    """The superuser cannot log in over the network, even with its password."""
    script = "PGPASSWORD=$(cat /run/secrets/postgres_password) exec psql -h $(hostname -i) -U postgres -c 'SELECT 1'"
    done = server.compose("exec", "-T", "db", "bash", "-c", script, check=False)
    assert "no pg_hba.conf entry" in done.stderr


def test_postgres_settings(server):
    """Shared buffers take a quarter of the container's memory, pages have checksums, and no setting is invalid."""
    names = "shared_buffers", "data_checksums", "max_connections", "allow_alter_system", "summarize_wal"
    shown = server.sql(f"SELECT name, setting || coalesce(unit, '') FROM pg_settings WHERE name IN {names}")
    assert dict(row.split("|") for row in shown) == dict(
        zip(names, ("65536" + "8kB", "on", "100", "off", "on"), strict=True)
    )
    wrong = server.sql("SELECT name, error FROM pg_file_settings WHERE error IS NOT NULL")
    assert wrong == []


@pytest.mark.parametrize(
    ("name", "remedy"), [("DB_CONNECTIONS", "from 30 to 1000"), ("SYNCHRONOUS_ARCHIVE", "on or off")]
)
def test_invalid_setting_stops_postgres(server, name, remedy):
    """Postgres does not start with an invalid setting, and names it with a remedy."""
    argv = ("run", "--rm", "--no-deps", "-T", "--env", f"{name}=many", "--volume", "/var/lib/postgresql", "db")
    done = server.compose(*argv, check=False)
    assert (done.returncode, remedy in done.stderr) == (1, True)


def test_schema_owner(psql):
    """The migration role owns the schema and each table."""
    owners = "SELECT tableowner FROM pg_tables WHERE schemaname = 'public'"
    schema = "SELECT nspowner::regrole::text FROM pg_namespace WHERE nspname = 'public'"
    assert set(psql("app_owner", f"{owners} UNION {schema}").stdout.split()) == {"app_owner"}


@pytest.mark.parametrize("where", [["-h", "127.0.0.1"], []])
@pytest.mark.parametrize("role", [*ROLES, "postgres"])
def test_postgres_requires_a_password(server, role, where):
    """Every role needs a password, over the network and over the socket in the database's container."""
    argv = ("psql", "--no-password", *where, "-U", role, "-d", "app", "-c", "SELECT 1")
    done = server.compose("exec", "-T", "db", *argv, check=False)
    assert "no password supplied" in done.stderr


@pytest.mark.parametrize("role", ["cache", "sessions"])
def test_redis_requires_a_password(server, role):
    """Without a password even PING is refused."""
    done = server.compose("exec", "-T", f"redis-{role}", "redis-cli", "ping", check=False)
    assert "NOAUTH" in done.stdout + done.stderr


@pytest.mark.guarantee(
    "The application's database role can only read and write rows; Redis users are restricted likewise"
)
@pytest.mark.parametrize(
    "command",
    ["SET mine 1", "MGET mine", "KEYS *", "FLUSHALL", "CONFIG GET *", "ACL LIST", "PUBLISH mine 1", "EVAL 1 0"],
)
def test_cache_user_is_restricted(redis, command):
    """The cache's user has no access to other keys, channels or administrative commands."""
    assert redis("cache", *command.split()).startswith("NOPERM")


def test_cache_user_writes_its_keys(redis):
    """The cache's user can write its keys, so the refusals above are specific."""
    assert redis("cache", "SET", "cache:mine", "1", "PX", "1000") == "OK"


@pytest.mark.parametrize("command", ["FLUSHALL", "CONFIG GET *", "ACL LIST", "SHUTDOWN", "REPLICAOF NO ONE"])
def test_sessions_user_is_restricted(redis, command):
    """The sessions' user has no administrative commands."""
    assert redis("sessions", *command.split()).startswith("NOPERM")


@pytest.mark.guarantee("Sessions are never evicted, and a kill of Redis loses at most those of the last two seconds")
def test_eviction_policies(redis):
    """When full, the cache evicts the least used keys and the sessions refuse writes."""
    policies = {role: redis(role, "INFO", "memory") for role in ("cache", "sessions")}
    assert "maxmemory_policy:allkeys-lfu" in policies["cache"]
    assert "maxmemory_policy:noeviction" in policies["sessions"]


def test_sessions_survive_a_restart(server, redis):
    """Sessions are on disk and loaded again."""
    assert redis("sessions", "SET", "mine", "kept") == "OK"
    server.compose("restart", "redis-sessions")
    assert wait_for(lambda: redis("sessions", "GET", "mine") == "kept", pause=0.2)
