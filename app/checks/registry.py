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
    """A check, and the conditions under which it passes, warns and fails."""

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
        fails="FLASK_ENV is another environment; DEBUG or TESTING is on",
    ),
    Check("release", settings.check_release, "the build identifies its commit", "RELEASE is unknown"),
    Check(
        "logs",
        settings.check_logs,
        "the log has one JSON line for each request",
        "LOG_LEVEL is not INFO; LOG_FORMAT is text",
    ),
    Check("user", settings.check_user, "the application does not run as root", fails="it runs as root"),
    Check(
        "keys",
        keys.check_keys,
        "SECRET_KEY and each of SECRET_KEY_FALLBACKS has at least 32 characters and an estimated 112 bits",
        "a key has between 80 and 112 bits; SECRET_KEY is among its own fallbacks",
        "a key is shorter, has fewer bits (repetitive or word-like), or is a well-known value",
    ),
    Check(
        "passwords",
        keys.check_passwords,
        "each password in a URL of Postgres or Redis has at least 16 characters and 64 bits, and is used only once",
        "a password has 8 to 16 characters or 28 to 64 bits; a certificate or file replaces it",
        "a password is missing, weaker, a well-known value or the user name; several users share it",
    ),
    Check(
        "files",
        files.check,
        "each secret is set as NAME_FILE, in a file that only the application's user may read",
        "a secret is in an environment variable; a group may read its file",
        "everyone may read the file of a secret; other users may write it",
    ),
    Check(
        "driver",
        postgres.check_driver,
        "the database is Postgres with psycopg2",
        fails="the database is SQLite, or the driver is another one",
    ),
    Check(
        "encryption",
        encryption.check_postgres,
        "Postgres is on this machine or a private network, or the connection verifies its name (`verify-full`)",
        "`sslmode` is require or verify-ca; the host name cannot be resolved",
        "the address is public, and the connection may be unencrypted",
    ),
    Check(
        "redis-encryption",
        encryption.check_redis,
        "Redis is on this machine or a private network, or the connection uses TLS (`rediss://`)",
        "the certificate is not verified; the host name cannot be resolved",
        "the address is public, and the connection may be unencrypted",
    ),
    Check(
        "connections",
        connections.check,
        "all connections that may be open concurrently fit into Postgres's limit, with five left for operators",
        "fewer than five are left; the pooler does not report how many it opens",
        "the connections exceed the limit",
        POSTGRES,
    ),
    Check(
        "clients",
        connections.check_clients,
        "PgBouncer, if in use, accepts as many clients as the application may open",
        fails="PgBouncer accepts fewer clients",
        requires=POSTGRES,
    ),
    Check(
        "pooler",
        connections.check_pooler,
        "the pooler, if in use, applies the statement timeout of DB_TIMEOUT",
        "the pooler applies another timeout",
        requires=POSTGRES,
    ),
    Check(
        "privileges",
        privileges.check,
        "the application's role can only read and write rows",
        fails="the role has administrative attributes, may create objects, or owns tables",
        requires=POSTGRES,
    ),
    Check(
        "migrations",
        migrations.check,
        "this release's migrations are applied, perhaps also compatible newer ones; a deploy may have pending ones",
        fails="migrations are pending; the schema has diverged from this release; a newer release has contracted it",
        requires=POSTGRES,
    ),
    Check("checksums", postgres.check_checksums, "data checksums are on", "data checksums are off", requires=POSTGRES),
    Check(
        "version",
        postgres.check_version,
        "the version is Postgres 15 or newer",
        "the version no longer gets fixes",
        "",
        POSTGRES,
    ),
    Check(
        "timeouts",
        postgres.check_timeouts,
        "`statement_timeout` and `idle_in_transaction_session_timeout` are set for all sessions of the role",
        "they are set only for the application's own sessions",
        "they are not set for the application",
        POSTGRES,
    ),
    Check(
        "clock",
        clock.check,
        "the clocks of this machine and of the database differ by less than 2 s",
        "they differ by 2 s to a minute",
        "they differ by more than a minute",
        POSTGRES,
    ),
    Check(
        "redis-password",
        redis_servers.check_password,
        "Redis refuses clients without a password",
        fails="Redis accepts clients without a password",
        requires=REDIS,
    ),
    Check(
        "cache",
        redis_servers.check_cache,
        "`maxmemory` is set, and the cache may evict every key",
        "the cache evicts only keys with a TTL; the user may not run INFO",
        "`maxmemory` is not set; the policy is `noeviction`",
        REDIS,
    ),
    Check(
        "sessions",
        redis_servers.check_sessions,
        "the Redis in SESSION_REDIS_URL (for future sessions, read only here) never evicts and persists to disk",
        "the user may not run INFO",
        "the server evicts keys; `appendonly` is off",
        REDIS,
    ),
    Check(
        "hosts",
        hosts.check,
        "TRUSTED_HOSTS contains only public host names",
        "it contains an address or localhost",
        "it contains no public host name; it contains a wildcard or a whole public suffix",
    ),
    Check(
        "cookies",
        cookies.check,
        "a session cookie would be Secure, HttpOnly, SameSite and limited to this host (`__Host-`)",
        "SameSite is not set; the name has no `__Host-` prefix",
        "Secure or HttpOnly is off; `__Host-` does not allow the domain or path",
    ),
    Check(
        "proxies",
        edge.check_proxies,
        "TRUSTED_PROXIES is the number of proxies in front: 1 in this bundle, with or without a CDN",
        "it is 0 or more than 1 where another edge may be in front; it is more than 1 in this bundle",
        "it is 0 behind this bundle's nginx",
    ),
    Check(
        "hsts",
        edge.check_hsts,
        "HSTS lasts at least 180 days",
        "HSTS is off or shorter (the default is a day); its value is unknown because another edge is in front",
    ),
    Check(
        "bodies",
        edge.check_bodies,
        "BODY_KILOBYTES equals MAX_CONTENT_LENGTH",
        "they differ; BODY_KILOBYTES is unknown because another edge is in front",
    ),
)
