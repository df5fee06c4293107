"""Inputs of the production check: settings that pass, and fake backends that a test configures."""

import psycopg2
import redis

from app.checks.context import CheckContext

KEY = "x7Gq2mZp9sLw4kTv8nBr3cYd6hJf1aEu0iOo5"
APP, OWNER, CACHE, SESSIONS = (f"{name}7Gq2mZp9sLw4kTv8nBr3" for name in ("ap", "ow", "ca", "se"))
SETTINGS = {
    "FLASK_ENV": "production",
    "SECRET_KEY": KEY,
    "DATABASE_URL": f"postgresql://app:{APP}@db/app",
    "MIGRATION_DATABASE_URL": f"postgresql://app_owner:{OWNER}@db/app",
    "REDIS_URL": f"redis://cache:{CACHE}@redis-cache",
    "TRUSTED_HOSTS": "shop.example",
    "TRUSTED_PROXIES": "1",
    "HSTS": "max-age=63072000; includeSubDomains",
    "BODY_KILOBYTES": "64",
    "RELEASE": "r1",
}
POSTGRES = [("max_connections", 100), ("reserved_connections", 10), ("superuser_reserved_connections", 3)]
PGBOUNCER = {"default_pool_size": "20", "reserve_pool_size": "0", "max_db_connections": "20", "max_client_conn": "1000"}
UNAVAILABLE = psycopg2.OperationalError("connection refused\nIs the server running?")
MEMORY = {"maxmemory": 2**27, "maxmemory_policy": "allkeys-lfu"}


class Backends:
    """The responses of Postgres, PgBouncer and Redis; an exception is raised, and None refuses the connection."""

    def __init__(self):
        self.limits, self.pgbouncer, self.pooled_timeout = POSTGRES, dict(PGBOUNCER), 1250
        self.privileges, self.checksums, self.version = [(False, False, False)], "on", 180001
        self.timeouts, self.role_timeouts, self.now = [(1250,), (2500,)], [(15000,), (30000,)], lambda: 0.0
        self.schema = "current"
        self.anonymous = redis.AuthenticationError("NOAUTH Authentication required.")
        self.memory, self.session_memory = dict(MEMORY), {"maxmemory_policy": "noeviction"}
        self.persistence = {"aof_enabled": 1}
        self.addresses, self.user = {}, 10001
        self.queries, self.unavailable = [], False

    def query(self, sql, *, defaults):
        """Return the rows of a statement."""
        if self.unavailable:
            raise UNAVAILABLE
        for text, rows in {
            "max_connections": self.limits,
            "SHOW CONFIG": self.pgbouncer and [(*pair, "", "yes") for pair in self.pgbouncer.items()],
            "name IN (%s, %s)": self.role_timeouts if defaults else self.timeouts,
            "statement_timeout": [(self.pooled_timeout,)],
            "rolsuper": self.privileges,
            "data_checksums": [(self.checksums,)],
            "server_version_num": [(self.version,)],
            "clock_timestamp": [(self.now(),)],
        }.items():
            if text in sql and rows is not None:
                return rows
        raise UNAVAILABLE

    def redis_command(self, url, command, section="", *, anonymous=False):
        """Return the reply to a command."""
        if command == "PING":
            return given(self.anonymous if anonymous else True)
        memory = self.session_memory if "sessions" in url else self.memory
        return given({"memory": memory, "persistence": self.persistence}[section])


def given(value):
    """Return a value, or raise it."""
    if isinstance(value, Exception):
        raise value
    return value


class FakeContext(CheckContext):
    """A CheckContext without a network."""

    def __init__(self, environ, backends, **options):
        super().__init__(environ, **options)
        self.backends = backends

    def query(self, url, sql, *_values, defaults=False):
        """Return the rows of a statement, or refuse the connection."""
        self.backends.queries.append((url.host, url.username))
        return self.backends.query(sql, defaults=defaults)

    def redis_command(self, url, *command, anonymous=False):
        """Return the reply to a command."""
        return self.backends.redis_command(url, *command, anonymous=anonymous)

    def schema_state(self):
        """Return the state of the schema, or raise it."""
        return given(UNAVAILABLE if self.backends.unavailable else self.backends.schema)

    def addresses(self, host):
        """Resolve a name, by default to a private address."""
        return given(self.backends.addresses.get(host, ["10.0.0.7"]))

    @property
    def user(self):
        """The user id of the application."""
        return self.backends.user
