"""What the checks look at: the application's settings, as it reads them itself, and what the servers say."""

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
COLOURS = 2  # while a release goes in, both run
REDIS_SECONDS = 2.0  # for an answer
DATABASES = {"DATABASE_URL": "SQLALCHEMY_DATABASE_URI", "MIGRATION_DATABASE_URL": "MIGRATION_DATABASE_URL"}


@dataclass(frozen=True)
class Web:
    """All containers of the application at once, and what each of their processes may open."""

    replicas: int
    workers: int
    pool: int
    probes: int = len(database.PROBES)

    @property
    def connections(self) -> int:
        """Return how many connections they may have open at one moment."""
        return COLOURS * self.replicas * self.workers * (self.pool + self.probes)

    def __str__(self) -> str:
        """Return the product."""
        each = f"({self.pool} + {self.probes} for probes)"
        return f"{COLOURS} colours x {self.replicas} containers x {self.workers} workers x {each}"


@dataclass(frozen=True)
class Limits:
    """What Postgres takes, and what it keeps for those who look after it."""

    maximum: int
    reserved: int

    @property
    def open(self) -> int:
        """Return how many connections are there for everybody."""
        return self.maximum - self.reserved


@dataclass(frozen=True)
class Pooler:
    """A PgBouncer between the application and Postgres: the connections that it opens, and those that it takes."""

    pool: int
    clients: int


def redis_options(url: str) -> dict[str, Any]:
    """Return what redis-py takes from a URL, such as username, password and host."""
    return dict(parse_url(url))  # type: ignore[no-untyped-call]


class Production:
    """This server; each thing is looked at once."""

    def __init__(self, environ: Mapping[str, str] = os.environ, *, before_migrating: bool = False) -> None:
        self.variables = environ
        self.before_migrating = before_migrating

    @cached_property
    def settings(self) -> config.Config:
        """The application's settings; raises ConfigError."""
        return config.load("production", self.variables)

    @cached_property
    def flask_config(self) -> flask.Config:
        """The same as the application has them, with what Flask adds."""
        known = flask.Flask("check").config
        known.from_object(self.settings)
        return known

    @property
    def user(self) -> int:
        """Who runs this, and so the application."""
        return os.geteuid()

    def variable(self, name: str) -> str:
        """Return a variable that the settings do not have, or what is in the file that NAME_FILE names."""
        path = self.variables.get(f"{name}_FILE")
        return Path(path).read_text(encoding="utf-8").strip() if path else self.variables.get(name, "")

    @cached_property
    def databases(self) -> dict[str, URL]:
        """Where the application and the migrations go, by the variable that says so; the same place is named once."""
        found = {name: getattr(self.settings, attribute) for name, attribute in DATABASES.items()}
        return found if len(set(found.values())) > 1 else {"DATABASE_URL": self.settings.SQLALCHEMY_DATABASE_URI}

    @cached_property
    def redis_servers(self) -> dict[str, str]:
        """Where the cache is, and sessions where they have a place, by the variable that says so."""
        found = {"REDIS_URL": self.settings.REDIS_URL, "SESSION_REDIS_URL": self.variable("SESSION_REDIS_URL")}
        return {name: url for name, url in found.items() if url}

    @cached_property
    def secrets(self) -> set[str]:
        """Everything that must not be printed."""
        passwords = [word for url in self.databases.values() for word in (url.password, url.query.get("password"))]
        passwords += [redis_options(url).get("password") for url in self.redis_servers.values()]
        keys = [self.settings.SECRET_KEY, *self.settings.SECRET_KEY_FALLBACKS, self.settings.SENTRY_DSN]
        return {str(secret) for secret in (*passwords, *keys) if secret}

    @cached_property
    def web(self) -> Web:
        """What Gunicorn would start here, and so in each container; raises SystemExit for a number that is none."""
        gunicorn = runpy.run_path(str(ROOT / "gunicorn.conf.py"))
        options = engine.engine_options(vars(self.settings))
        replicas = gunicorn["number"]("WEB_REPLICAS", 2, 1, 100)
        return Web(replicas, gunicorn["workers"], options["pool_size"] + options["max_overflow"])

    @cached_property
    def limits(self) -> Limits:
        """What Postgres says of its connections."""
        reserved = ("reserved_connections", "superuser_reserved_connections")
        sql = "SELECT name, setting::int FROM pg_settings WHERE name IN ('max_connections', %s, %s)"
        found: dict[str, int] = dict(self.ask(self.settings.MIGRATION_DATABASE_URL, sql, *reserved))
        return Limits(found["max_connections"], sum(found.get(name, 0) for name in reserved))

    @cached_property
    def pooler(self) -> Pooler:
        """What PgBouncer says of itself, in the database that it has for that."""
        url = self.settings.SQLALCHEMY_DATABASE_URI.set(database="pgbouncer")
        known = {row[0]: row[1] for row in self.ask(url, "SHOW CONFIG")}
        pool = int(known["default_pool_size"]) + int(known["reserve_pool_size"])
        return Pooler(min(pool, int(known["max_db_connections"]) or pool), int(known["max_client_conn"]))

    @property
    def pooled(self) -> bool:
        """Whether the application goes another way to Postgres than migrations do."""
        return len(self.hosts) > 1

    @property
    def hosts(self) -> list[str]:
        """Where the database is asked."""
        urls = (self.settings.MIGRATION_DATABASE_URL, self.settings.SQLALCHEMY_DATABASE_URI)
        return list(dict.fromkeys(str(url.host) for url in urls))

    def ask(self, url: URL, sql: str, *values: Any, plain: bool = False) -> list[Any]:
        """Return the rows of a statement, over such a connection as the application makes; PLAIN has no limits."""
        known = engine.engine_options(vars(self.settings))["connect_args"] | {"application_name": "check"}
        if plain:
            del known["options"]
        address = url.translate_connect_args(database="dbname", username="user") | dict(url.query)
        with closing(psycopg2.connect(**address, **known)) as connection:
            connection.autocommit = True
            with connection.cursor() as cursor:
                cursor.execute(sql, values or None)
                return list(cursor.fetchall())

    @staticmethod
    def host_of(url: str) -> str:
        """Return where a Redis is asked."""
        known = redis_options(url)
        return str(known.get("host") or known.get("path") or "localhost")

    def addresses(self, host: str) -> list[str]:
        """Return the addresses of a host; raises OSError."""
        return sorted({str(known[4][0]) for known in socket.getaddrinfo(host, None)})

    def schema(self) -> str:
        """Return "current" or "ahead"; raises what app/db/schema_state.py does."""
        known = engine.engine_options(vars(self.settings))["connect_args"]
        url = self.settings.MIGRATION_DATABASE_URL
        with create_engine(url, poolclass=NullPool, connect_args=known).connect() as connection:
            return schema_state.compare(connection)

    def ask_redis(self, url: str, *command: str, anonymous: bool = False) -> Any:
        """Return what Redis answers to the application, or to somebody without a password; raises RedisError."""
        known = redis_options(url) | {"socket_timeout": REDIS_SECONDS, "socket_connect_timeout": REDIS_SECONDS}
        if anonymous:
            known = {name: value for name, value in known.items() if name not in {"username", "password"}}
        pool = redis.ConnectionPool(**known, retry=Retry(NoBackoff(), 0), decode_responses=True)
        with closing(redis.Redis.from_pool(pool)) as client:
            return client.execute_command(*command)  # type: ignore[no-untyped-call]
