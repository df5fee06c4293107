"""All checks, in order; scripts/production_check_page.py generates docs/production-check.md from this table."""

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
    privileges,
    redis_servers,
    settings,
)
from .context import CheckContext
from .finding import Finding

POSTGRES, REDIS = "Postgres", "Redis"


@dataclass(frozen=True)
class Check:
    """A check, and when it passes, warns and fails."""

    name: str
    run: Callable[[CheckContext], Iterator[Finding]]
    passes: str
    warns: str = ""
    fails: str = ""
    requires: str = ""  # the backend that must be up for it


CHECKS = (
    Check(
        "environment",
        settings.check,
        "FLASK_ENV is production, and debugging is off",
        fails="another environment; DEBUG or TESTING is on",
    ),
    Check("release", settings.check_release, "the build identifies its commit", "RELEASE is unknown"),
    Check("logs", settings.check_logs, "one JSON line for each request", "LOG_LEVEL is not INFO; LOG_FORMAT is text"),
    Check("user", settings.check_user, "the application does not run as root", fails="it does"),
    Check(
        "keys",
        keys.check_keys,
        "SECRET_KEY and each of SECRET_KEY_FALLBACKS has at least 32 characters and an estimated 112 bits",
        "between 80 and 112 bits; SECRET_KEY is among its own fallbacks",
        "shorter; fewer bits (repetitive or word-like); a well-known value",
    ),
    Check(
        "passwords",
        keys.check_passwords,
        "each password in a URL of Postgres or Redis has at least 16 characters and 64 bits, and is used only once",
        "8 to 16 characters or 28 to 64 bits; a certificate or file instead of a password",
        "missing; shorter; fewer bits; a well-known value; the user name; shared by several users",
    ),
    Check(
        "files",
        files.check,
        "each secret is given as NAME_FILE, in a file that only its user may read",
        "one is in an environment variable; a group may read its file",
        "everyone may read a secret's file; others may write it",
    ),
    Check(
        "driver", postgres.check_driver, "the database is Postgres with psycopg2", fails="SQLite; a different driver"
    ),
    Check(
        "encryption",
        encryption.check_postgres,
        "Postgres is on this machine or a private network, or the connection verifies its name (`verify-full`)",
        "`sslmode` is require or verify-ca; its address cannot be resolved",
        "it has a public address, and the connection is not encrypted",
    ),
    Check(
        "redis-encryption",
        encryption.check_redis,
        "the same for Redis (`rediss://`)",
        "its certificate is not verified; its address cannot be resolved",
        "it has a public address, and the connection is not encrypted",
    ),
    Check(
        "connections",
        connections.check,
        "all connections that may be open at once fit into Postgres' limit, with five left for operators",
        "fewer than five are left; the pooler does not report how many it opens",
        "they do not fit",
        POSTGRES,
    ),
    Check(
        "clients",
        connections.check_clients,
        "PgBouncer, if in use, accepts as many clients as the application may open",
        fails="it does not",
        requires=POSTGRES,
    ),
    Check(
        "pooler",
        connections.check_pooler,
        "the pooler, if in use, applies the statement timeout of DB_TIMEOUT",
        "it applies another",
        requires=POSTGRES,
    ),
    Check(
        "privileges",
        privileges.check,
        "the application's role can only read and write rows",
        fails="it has administrative attributes; it may create objects; it owns tables",
        requires=POSTGRES,
    ),
    Check(
        "migrations",
        migrations.check,
        "the schema is this release's, or a compatible newer one; during a deploy, migrations may be pending",
        fails="migrations are pending; the schema has diverged from this release, or is past it",
        requires=POSTGRES,
    ),
    Check("checksums", postgres.check_checksums, "Postgres has data checksums", "it has none", requires=POSTGRES),
    Check("version", postgres.check_version, "Postgres 15 or newer", "an older version without fixes", "", POSTGRES),
    Check(
        "timeouts",
        postgres.check_timeouts,
        "`statement_timeout` and `idle_in_transaction_session_timeout` are set for all sessions of the role",
        "only for the application's own sessions",
        "not for the application",
        POSTGRES,
    ),
    Check(
        "clock",
        clock.check,
        "this machine's clock and the database's differ by less than 2 s",
        "by 2 s to a minute",
        "by more",
        POSTGRES,
    ),
    Check(
        "redis-password",
        redis_servers.check_password,
        "Redis refuses clients without a password",
        fails="it accepts them",
        requires=REDIS,
    ),
    Check(
        "cache",
        redis_servers.check_cache,
        "the cache has `maxmemory`, and may evict every key",
        "it evicts only keys with a TTL; the user may not run INFO",
        "no `maxmemory`; `noeviction`",
        REDIS,
    ),
    Check(
        "sessions",
        redis_servers.check_sessions,
        "the Redis in SESSION_REDIS_URL, if set, never evicts and persists to disk",
        "the user may not run INFO",
        "it evicts; `appendonly` is off",
        REDIS,
    ),
    Check(
        "hosts",
        hosts.check,
        "TRUSTED_HOSTS has only public host names",
        "it contains an address or localhost",
        "it contains nothing else; it has a wildcard, or a whole public suffix",
    ),
    Check(
        "cookies",
        cookies.check,
        "a session cookie would be Secure, HttpOnly, SameSite and limited to this host (`__Host-`)",
        "no SameSite; a different name",
        "not Secure; not HttpOnly; a domain or path that `__Host-` does not allow",
    ),
    Check(
        "proxies",
        edge.check_proxies,
        "TRUSTED_PROXIES is the number of proxies in front: 1 in this bundle, with or without a CDN",
        "0 or more than 1 where another edge may be in front; more than 1 in this bundle",
        "0 behind this bundle's nginx",
    ),
    Check(
        "hsts",
        edge.check_hsts,
        "HSTS lasts at least 180 days",
        "it is off or shorter, as by default; another edge is in front",
    ),
    Check(
        "bodies",
        edge.check_bodies,
        "BODY_KILOBYTES equals MAX_CONTENT_LENGTH",
        "it does not; another edge is in front",
    ),
)
