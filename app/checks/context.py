"""The input of the checks: the settings as the application reads them, and queries to its backends."""

import os
import runpy
import socket
from collections.abc import Mapping
from contextlib import closing
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import flask
import psycopg2
import redis
from redis.backoff import NoBackoff
from redis.connection import parse_url
from redis.retry import Retry
from sqlalchemy import URL, create_engine
from sqlalchemy.pool import NullPool

import config
from app.db import engine, schema_state
from app.db import session as database

ROOT = Path(__file__).parent.parent.parent
COLOURS = 2  # both run during a deploy
REDIS_TIMEOUT_S = 2.0
DATABASES = {"DATABASE_URL": "SQLALCHEMY_DATABASE_URI", "MIGRATION_DATABASE_URL": "MIGRATION_DATABASE_URL"}


@dataclass(frozen=True)
class WebConnections:
    """The connections of all containers of the application to Postgres."""

    replicas: int
    workers: int
    pool: int
    probes: int = len(database.PROBES)

    @property
    def connections(self) -> int:
        """Return how many connections may be open concurrently."""
        return COLOURS * self.replicas * self.workers * (self.pool + self.probes)

    def __str__(self) -> str:
        """Return the calculation."""
        per_worker = f"({self.pool} + {self.probes} for probes)"
        return f"{COLOURS} colours x {self.replicas} containers x {self.workers} workers x {per_worker}"


@dataclass(frozen=True)
class Limits:
    """Postgres's connection limit, and the part of it that is reserved for administrators."""

    maximum: int
    reserved: int

    @property
    def available(self) -> int:
        """Return the limit for ordinary roles."""
        return self.maximum - self.reserved


@dataclass(frozen=True)
class Pooler:
    """PgBouncer's limits: connections to Postgres, and clients."""

    pool: int
    clients: int


def redis_options(url: str) -> dict[str, Any]:
    """Return the connection options of a URL, such as username, password and host."""
    return dict(parse_url(url))  # type: ignore[no-untyped-call]


class CheckContext:
    """The settings and backends of this server; each value is read once."""

    def __init__(self, environ: Mapping[str, str] = os.environ, *, before_migrating: bool = False) -> None:
        self.variables = environ
        self.before_migrating = before_migrating

    @cached_property
    def settings(self) -> config.Config:
        """The application's settings; raises ConfigError."""
        return config.load("production", self.variables)

    @cached_property
    def flask_config(self) -> flask.Config:
        """The application's Flask config, with Flask's defaults."""
        flask_config = flask.Flask("check").config
        flask_config.from_object(self.settings)
        return flask_config

    @property
    def user(self) -> int:
        """The user id of this process, which is the application's."""
        return os.geteuid()

    def variable(self, name: str) -> str:
        """Return a variable that is not a setting, or the content of the file in NAME_FILE."""
        path = self.variables.get(f"{name}_FILE")
        return Path(path).read_text(encoding="utf-8").strip() if path else self.variables.get(name, "")

    @cached_property
    def databases(self) -> dict[str, URL]:
        """The distinct database URLs, by their variable."""
        urls = {name: getattr(self.settings, attribute) for name, attribute in DATABASES.items()}
        return urls if len(set(urls.values())) > 1 else {"DATABASE_URL": self.settings.SQLALCHEMY_DATABASE_URI}

    @cached_property
    def redis_servers(self) -> dict[str, str]:
        """The Redis URLs of the cache and, once the application has sessions, of their store, by their variable."""
        urls = {"REDIS_URL": self.settings.REDIS_URL, "SESSION_REDIS_URL": self.variable("SESSION_REDIS_URL")}
        return {name: url for name, url in urls.items() if url}

    @cached_property
    def secrets(self) -> set[str]:
        """All values that must not be printed."""
        passwords = [value for url in self.databases.values() for value in (url.password, url.query.get("password"))]
        passwords += [redis_options(url).get("password") for url in self.redis_servers.values()]
        keys = [self.settings.SECRET_KEY, *self.settings.SECRET_KEY_FALLBACKS, self.settings.SENTRY_DSN]
        return {str(secret) for secret in (*passwords, *keys) if secret}

    @cached_property
    def web(self) -> WebConnections:
        """What Gunicorn would start here and in each container; raises SystemExit for an invalid number."""
        gunicorn = runpy.run_path(str(ROOT / "gunicorn.conf.py"))
        options = engine.engine_options(vars(self.settings))
        replicas = gunicorn["read_integer"]("WEB_REPLICAS", 2, 1, 100)
        return WebConnections(replicas, gunicorn["workers"], options["pool_size"] + options["max_overflow"])

    @cached_property
    def limits(self) -> Limits:
        """Postgres's connection limits."""
        reserved = ("reserved_connections", "superuser_reserved_connections")
        sql = "SELECT name, setting::int FROM pg_settings WHERE name IN ('max_connections', %s, %s)"
        values: dict[str, int] = dict(self.query(self.settings.MIGRATION_DATABASE_URL, sql, *reserved))
        return Limits(values["max_connections"], sum(values.get(name, 0) for name in reserved))

    @cached_property
    def pooler(self) -> Pooler:
        """PgBouncer's limits, from its admin console."""
        url = self.settings.SQLALCHEMY_DATABASE_URI.set(database="pgbouncer")
        console = {row[0]: row[1] for row in self.query(url, "SHOW CONFIG")}
        pool = int(console["default_pool_size"]) + int(console["reserve_pool_size"])
        return Pooler(min(pool, int(console["max_db_connections"]) or pool), int(console["max_client_conn"]))

    @property
    def uses_pooler(self) -> bool:
        """Whether the application connects to another host than migrations do."""
        return len(self.hosts) > 1

    @property
    def hosts(self) -> list[str]:
        """The distinct database hosts."""
        urls = (self.settings.MIGRATION_DATABASE_URL, self.settings.SQLALCHEMY_DATABASE_URI)
        return list(dict.fromkeys(str(url.host) for url in urls))

    def query(self, url: URL, sql: str, *values: Any, defaults: bool = False) -> list[Any]:
        """Return the rows of a statement, with the application's connection options; DEFAULTS omits its timeouts."""
        options = engine.engine_options(vars(self.settings))["connect_args"] | {"application_name": "check"}
        if defaults:
            del options["options"]
        address = url.translate_connect_args(database="dbname", username="user") | dict(url.query)
        with closing(psycopg2.connect(**address, **options)) as connection:
            connection.autocommit = True
            with connection.cursor() as cursor:
                cursor.execute(sql, values or None)
                return list(cursor.fetchall())

    @staticmethod
    def host_of(url: str) -> str:
        """Return the host of a Redis URL."""
        options = redis_options(url)
        return str(options.get("host") or options.get("path") or "localhost")

    def addresses(self, host: str) -> list[str]:
        """Return the addresses of a host; raises OSError."""
        return sorted({str(info[4][0]) for info in socket.getaddrinfo(host, None)})

    def schema_state(self) -> str:
        """Return "current" or "ahead"; raises the errors of app/db/schema_state.py."""
        options = engine.engine_options(vars(self.settings))["connect_args"]
        url = self.settings.MIGRATION_DATABASE_URL
        with create_engine(url, poolclass=NullPool, connect_args=options).connect() as connection:
            return schema_state.compare(connection)

    def redis_command(self, url: str, *command: str, anonymous: bool = False) -> Any:
        """Return Redis's reply, as the application's user or without a password; raises RedisError."""
        options = redis_options(url) | {"socket_timeout": REDIS_TIMEOUT_S, "socket_connect_timeout": REDIS_TIMEOUT_S}
        if anonymous:
            options = {name: value for name, value in options.items() if name not in {"username", "password"}}
        pool = redis.ConnectionPool(**options, retry=Retry(NoBackoff(), 0), decode_responses=True)
        with closing(redis.Redis.from_pool(pool)) as client:
            return client.execute_command(*command)  # type: ignore[no-untyped-call]
