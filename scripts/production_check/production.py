"""What the checks look at: the application's settings, as it reads them itself, and what the servers say."""

import runpy
from contextlib import closing
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import psycopg2
from sqlalchemy import URL

import config
from app import database, engine

ROOT = Path(__file__).parent.parent.parent
COLOURS = 2  # while a release goes in, both run


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


class Production:
    """This server; each thing is looked at once."""

    @cached_property
    def settings(self) -> config.Config:
        """The application's settings; raises ConfigError."""
        return config.load("production")

    @cached_property
    def web(self) -> Web:
        """What Gunicorn would start here, and so in each container; raises SystemExit for a number that is none."""
        gunicorn = runpy.run_path(str(ROOT / "gunicorn.conf.py"))
        options = engine.options(vars(self.settings))
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

    def ask(self, url: URL, sql: str, *values: Any) -> list[Any]:
        """Return the rows of a statement, over a connection such as the application makes."""
        known = engine.options(vars(self.settings))["connect_args"] | {"application_name": "check"}
        address = url.translate_connect_args(database="dbname", username="user") | dict(url.query)
        with closing(psycopg2.connect(**address, **known)) as connection:
            connection.autocommit = True
            with connection.cursor() as cursor:
                cursor.execute(sql, values or None)
                return list(cursor.fetchall())
