"""All checks, in the order in which they are made; docs/production-check.md has the same table."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass

from . import (
    clock,
    connections,
    cookies,
    edge,
    encryption,
    files,
    hosts,
    keys,
    migrations,
    postgres,
    redis_servers,
    rights,
    settings,
)
from .finding import Finding
from .production import Production

POSTGRES, REDIS = "Postgres", "Redis"


@dataclass(frozen=True)
class Check:
    """A check, what it says of a server that passes, and what is a warning or a fault."""

    name: str
    look: Callable[[Production], Iterator[Finding]]
    passes: str
    warns: str = ""
    fails: str = ""
    asks: str = ""  # the server that must answer for it


CHECKS = (
    Check(
        "environment",
        settings.check,
        "FLASK_ENV is production, and no debugger is on",
        fails="another environment; DEBUG or TESTING is on",
    ),
    Check("release", settings.check_release, "the build says which commit it is", "RELEASE is unknown"),
    Check(
        "logs",
        settings.check_logs,
        "a JSON line for each request",
        "LOG_LEVEL is not INFO, LOG_FORMAT is text",
    ),
    Check("user", settings.check_user, "the application does not run as root", fails="it does"),
    Check(
        "keys",
        keys.check_keys,
        "SECRET_KEY, and each of SECRET_KEY_FALLBACKS, has 32 characters or more, and 112 bits by an estimate",
        "between 80 and 112 bits; SECRET_KEY is among its own fallbacks",
        "shorter, fewer bits (it repeats itself or reads like words), a value that everybody knows",
    ),
    Check(
        "passwords",
        keys.check_passwords,
        "each password in a URL of Postgres or Redis has 16 characters or more and 64 bits, and no other user has it",
        "between 8 and 16 characters or 28 and 64 bits; a certificate or a file stands for it",
        "none, shorter, fewer bits, one that everybody knows, the user's own name, another user's",
    ),
    Check(
        "files",
        files.check,
        "each secret comes by NAME_FILE, from a file that its user alone may read",
        "one stands in the environment; a group may read its file",
        "everybody may read a secret's file, or others may write it",
    ),
    Check(
        "driver",
        postgres.check_driver,
        "the database is Postgres, by psycopg2",
        fails="SQLite, or another driver",
    ),
    Check(
        "encryption",
        encryption.check_postgres,
        "Postgres is on this machine or a private network, or is asked by TLS and its name checked (`verify-full`)",
        "`sslmode` is require or verify-ca; its address cannot be had",
        "it has a public address, and is asked in the clear",
    ),
    Check(
        "redis-encryption",
        encryption.check_redis,
        "likewise for Redis (`rediss://`)",
        "its certificate is not checked; its address cannot be had",
        "it has a public address, and is asked in the clear",
    ),
    Check(
        "connections",
        connections.check,
        "all connections that may be opened at one moment fit into what Postgres takes, and five are left for people",
        "fewer than five are left; a pooler does not say how many it opens",
        "they do not fit",
        POSTGRES,
    ),
    Check(
        "clients",
        connections.check_clients,
        "where PgBouncer stands in between, it takes what the application may open",
        fails="it does not",
        asks=POSTGRES,
    ),
    Check(
        "pooler",
        connections.check_pooler,
        "where one stands in between, statements end there when DB_TIMEOUT says so",
        "they end at another time",
        asks=POSTGRES,
    ),
    Check(
        "rights",
        rights.check,
        "the application's role reads and writes rows, and can do no more",
        fails="it is, or may become, more than an ordinary role; may create, or owns tables",
        asks=POSTGRES,
    ),
    Check(
        "migrations",
        migrations.check,
        "the schema is this release's or a newer one that serves it; in a deploy, some may be pending",
        fails="some are pending; the schema has parted from this release, or is past it",
        asks=POSTGRES,
    ),
    Check("checksums", postgres.check_checksums, "Postgres' pages have checksums", "they have none", asks=POSTGRES),
    Check(
        "version", postgres.check_version, "Postgres 15 or newer", "an older one, which gets no fixes", asks=POSTGRES
    ),
    Check(
        "timeouts",
        postgres.check_timeouts,
        "`statement_timeout` and `idle_in_transaction_session_timeout` are in force for the application's role",
        "for the application itself alone",
        "not for the application",
        POSTGRES,
    ),
    Check(
        "clock",
        clock.check,
        "this machine's clock and the database's are less than 2 s apart",
        "between 2 s and a minute",
        "more",
        POSTGRES,
    ),
    Check(
        "redis-password",
        redis_servers.check_password,
        "Redis refuses whoever has no password",
        fails="it answers",
        asks=REDIS,
    ),
    Check(
        "cache",
        redis_servers.check_cache,
        "the cache has `maxmemory`, and evicts any key there",
        "it evicts only what has an end; the application's user may not ask (INFO)",
        "no `maxmemory`; `noeviction`",
        REDIS,
    ),
    Check(
        "sessions",
        redis_servers.check_sessions,
        "where SESSION_REDIS_URL is set, that Redis never evicts, and writes down what it has",
        "the application's user may not ask (INFO)",
        "it evicts; `appendonly` is off",
        REDIS,
    ),
    Check(
        "hosts",
        hosts.check,
        "TRUSTED_HOSTS has names that users ask for, and lets nobody else's in",
        "an address or localhost among them",
        "only such; a wildcard; all of a suffix below which anybody may have a name",
    ),
    Check(
        "cookies",
        cookies.check,
        "a session's cookie would be Secure, HttpOnly, SameSite and of this host alone (`__Host-`)",
        "no SameSite; another name",
        "not Secure, not HttpOnly; a domain or a path that `__Host-` does not allow",
    ),
    Check(
        "proxies",
        edge.check_proxies,
        "TRUSTED_PROXIES is the number that stand in front: 1 in this bundle, behind a CDN too",
        "0 or more than 1, where another edge may stand in front; more than 1 in this bundle",
        "0 behind this bundle's nginx",
    ),
    Check(
        "hsts",
        edge.check_hsts,
        "HSTS lasts 180 days or longer",
        "it is off or shorter, as it is by default; what stands in front cannot be seen",
    ),
    Check(
        "bodies",
        edge.check_bodies,
        "BODY_KILOBYTES and MAX_CONTENT_LENGTH are the same",
        "they are not; what stands in front cannot be seen",
    ),
)
