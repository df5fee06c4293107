"""Settings: read from the environment once, when the application factory asks for them.

Importing this module reads nothing and cannot fail. `load` reads everything, and when something is missing
or unusable it names all of it at once. Every variable may also be given as NAME_FILE, the path of a file
that holds the value (the way Docker and Kubernetes hand over secrets). `.env.example` explains each one.
"""

import os
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any, ClassVar, cast
from urllib.parse import SplitResult, urlsplit

from environs import Env, EnvValidationError, validate
from marshmallow import ValidationError
from sqlalchemy.engine import URL, make_url
from sqlalchemy.exc import ArgumentError

DEVELOPMENT_SECRET_KEY = "development-only-and-refused-in-production"  # noqa: S105 - it protects nothing
SECRET_KEY_LENGTH = 32
SECRET_KEY_DISTINCT = 10
OTLP_HEADER = re.compile(r"[!#-'*+.0-9A-Z^-z|~-]+[ \t]*=[ !#-+\--:<-\[\]-~]*")  # https://www.w3.org/TR/baggage/
SAMPLERS = ("always_on", "always_off", "traceidratio")


class ConfigError(Exception):
    """The environment cannot be used; the text names every variable that must change, one a line."""


class Source(Env):
    """Reads NAME, or the file that NAME_FILE names, from one mapping; an empty value counts as unset."""

    def __init__(self, environ: Mapping[str, str]) -> None:
        super().__init__(eager=False)
        self.environ = environ
        self.problems: dict[str, list[str]] = {}

    def _get_value(self, env_key: str, default: Any) -> Any:
        path = self.environ.get(f"{env_key}_FILE")
        return (self._content(env_key, path) if path else self.environ.get(env_key)) or default

    def _content(self, name: str, path: str) -> str | None:
        if self.environ.get(name):
            self.problems[name] = [f"Set {name} or {name}_FILE, not both."]
            return None
        try:
            return Path(path).read_text(encoding="utf-8").strip()
        except (OSError, UnicodeDecodeError) as error:
            self.problems[f"{name}_FILE"] = [f"The file cannot be read ({type(error).__name__})."]
            return None


class Config:
    """What every environment has in common; each attribute is a Flask setting of the same name."""

    ENVIRONMENT: ClassVar[str]
    DEBUG = False
    TESTING = False
    SQLALCHEMY_TRACK_MODIFICATIONS = False

    # What an environment uses when a variable is unset; one that is not here must be set.
    defaults: ClassVar[dict[str, Any]] = {}
    secret_key_rules: ClassVar[list[Any]] = []
    database_rules: ClassVar[list[Any]] = []

    def __init__(self, env: Source) -> None:
        self.RELEASE = env.str("RELEASE", "unknown", validate=validate.Regexp(r"[!-~]{1,200}\Z"))
        self._read_secrets(env)
        self._read_database(env)
        self._read_redis(env)
        self._read_http(env)
        self._read_logging(env)
        self._read_sentry(env)
        self._read_tracing(env)
        self.METRICS = env.bool("METRICS", True)

    def _default(self, name: str) -> Any:
        return self.defaults.get(name, ...)

    def _read_secrets(self, env: Source) -> None:
        self.SECRET_KEY = env.str("SECRET_KEY", self._default("SECRET_KEY"), validate=self.secret_key_rules)
        self.SECRET_KEY_FALLBACKS = env.list("SECRET_KEY_FALLBACKS", [], subcast=str.strip)

    def _read_database(self, env: Source) -> None:
        direct = self._database_url(env, "DATABASE_URL", self._default("DATABASE_URL"))
        self.SQLALCHEMY_DATABASE_URI = _with_host(direct, env.str("DATABASE_HOST", ""))
        self.MIGRATION_DATABASE_URL = self._database_url(env, "MIGRATION_DATABASE_URL", "") or direct
        self.DB_POOL_SIZE = env.int("DB_POOL_SIZE", env.int("GUNICORN_THREADS", 4), validate=validate.Range(1, 100))
        self.DB_TIMEOUT = env.float("DB_TIMEOUT", 1.25, validate=validate.Range(0.1, 10))

    def _database_url(self, env: Source, name: str, default: Any) -> Any:
        text = env.str(name, default)
        try:
            return _checked_database_url(text, self.database_rules) if text else None
        except ValidationError as error:
            env.problems[name] = list(error.messages)
            return None

    def _read_redis(self, env: Source) -> None:
        self.REDIS_URL = env.str("REDIS_URL", self._default("REDIS_URL"), validate=_redis_url)
        self.REDIS_TIMEOUT = env.float("REDIS_TIMEOUT", 0.25, validate=validate.Range(0.01, 5))
        self.CACHE_MAX_BYTES = env.int("CACHE_MAX_BYTES", 64 * 2**20, validate=validate.Range(2**20))

    def _read_http(self, env: Source) -> None:
        self.TRUSTED_HOSTS = env.list("TRUSTED_HOSTS", self._default("TRUSTED_HOSTS"), subcast=str.strip)
        self.TRUSTED_PROXIES = env.int("TRUSTED_PROXIES", 0, validate=validate.Range(0, 5))
        self.MAX_CONTENT_LENGTH = env.int("MAX_CONTENT_LENGTH", 64 * 1024, validate=validate.Range(1024, 2**30))

    def _read_logging(self, env: Source) -> None:
        levels = validate.OneOf(["DEBUG", "INFO", "WARNING", "ERROR", "CRITICAL"])
        self.LOG_LEVEL = env.str("LOG_LEVEL", "INFO", validate=levels)
        self.LOG_FORMAT = env.str("LOG_FORMAT", self._default("LOG_FORMAT"), validate=validate.OneOf(["json", "text"]))
        self.LOG_TO_FILE = env.str("LOG_TO_FILE", "", validate=_log_file)

    def _read_sentry(self, env: Source) -> None:
        self.SENTRY_DSN = env.str("SENTRY_DSN", "", validate=_sentry_dsn)
        self.SENTRY_TRACES_SAMPLE_RATE = env.float("SENTRY_TRACES_SAMPLE_RATE", 0.0, validate=validate.Range(0, 1))

    def _read_tracing(self, env: Source) -> None:
        self.OTEL_EXPORTER_OTLP_ENDPOINT = env.str("OTEL_EXPORTER_OTLP_ENDPOINT", "", validate=_http_url)
        self.OTEL_EXPORTER_OTLP_HEADERS = env.str("OTEL_EXPORTER_OTLP_HEADERS", "", validate=_otlp_headers)
        self.OTEL_SERVICE_NAME = env.str("OTEL_SERVICE_NAME", "web")
        samplers = validate.OneOf([f"{kind}{name}" for kind in ("", "parentbased_") for name in SAMPLERS])
        self.OTEL_TRACES_SAMPLER = env.str("OTEL_TRACES_SAMPLER", "parentbased_always_on", validate=samplers)
        self.OTEL_TRACES_SAMPLER_ARG = env.float("OTEL_TRACES_SAMPLER_ARG", 1.0, validate=validate.Range(0, 1))


class DevelopmentConfig(Config):
    """A person's own machine: everything has a default, so nothing has to be set."""

    ENVIRONMENT = "development"
    defaults: ClassVar = {
        "SECRET_KEY": DEVELOPMENT_SECRET_KEY,
        "DATABASE_URL": "sqlite:///app.db",
        "REDIS_URL": "",
        "TRUSTED_HOSTS": None,
        "LOG_FORMAT": "text",
    }


class TestingConfig(Config):
    """The test suite: in memory, or on the server that TEST_DATABASE_URL names."""

    ENVIRONMENT = "testing"
    TESTING = True
    defaults: ClassVar = DevelopmentConfig.defaults | {"DATABASE_URL": "sqlite://", "LOG_FORMAT": "json"}

    def _read_database(self, env: Source) -> None:
        super()._read_database(env)
        if url := self._database_url(env, "TEST_DATABASE_URL", ""):
            self.SQLALCHEMY_DATABASE_URI = self.MIGRATION_DATABASE_URL = url


class ProductionConfig(Config):
    """Real people: what protects them has no default, and weak values are refused."""

    ENVIRONMENT = "production"
    defaults: ClassVar = {"LOG_FORMAT": "json"}

    # Of sessions, for when there are some: by TLS only, and with __Host- no other host below the domain can set it.
    SESSION_COOKIE_NAME = "__Host-session"
    SESSION_COOKIE_SECURE = True
    SESSION_COOKIE_SAMESITE = "Lax"

    def __init__(self, env: Source) -> None:
        super().__init__(env)
        if env.str("FLASK_DEBUG", "0").lower() not in {"0", "false", "no"}:
            env.problems["FLASK_DEBUG"] = ["Must be off: the debugger runs code for whoever reaches it."]

    @staticmethod
    def _strong(value: str) -> None:
        if len(value) < SECRET_KEY_LENGTH or len(set(value)) < SECRET_KEY_DISTINCT or value == DEVELOPMENT_SECRET_KEY:
            remedy = "python -c 'import secrets; print(secrets.token_urlsafe(48))'"
            raise ValidationError(f"Too weak to sign with. Make one with: {remedy}")

    @staticmethod
    def _server(url: URL) -> None:
        if url.get_backend_name() == "sqlite":
            raise ValidationError("SQLite is for development. Give the URL of a Postgres server: postgresql://…")

    secret_key_rules: ClassVar = [_strong]
    database_rules: ClassVar = [_server]


ENVIRONMENTS = {kind.ENVIRONMENT: kind for kind in (DevelopmentConfig, TestingConfig, ProductionConfig)}


def load(environment: str | None = None, environ: Mapping[str, str] = os.environ) -> Config:
    """Read and validate the settings of ENVIRONMENT, by default the one FLASK_ENV names, else production.

    Raises ConfigError, which names every variable that is missing, weak or malformed.
    """
    name = environment or environ.get("FLASK_ENV") or ProductionConfig.ENVIRONMENT
    if name not in ENVIRONMENTS:
        raise ConfigError(f"FLASK_ENV: {name!r} is not known. Use one of: {', '.join(ENVIRONMENTS)}.")
    env = Source(environ)
    config = ENVIRONMENTS[name](env)
    try:
        env.seal()
    except EnvValidationError as error:
        unset = {name: list(why) for name, why in dict(cast("Mapping[str, list[str]]", error.error_messages)).items()}
        env.problems = {name: why for name, why in unset.items() if f"{name}_FILE" not in env.problems} | env.problems
    if env.problems:
        raise ConfigError(_report(name, env.problems))
    return config


def _checked_database_url(text: str, rules: list[Any]) -> URL:
    """Parse a database URL of any scheme in use; for Postgres always name the psycopg2 driver.

    SQLAlchemy 2.1 takes `postgresql://` to mean psycopg 3, and knows no `postgres://`.
    """
    try:
        url = make_url(text.replace("postgres://", "postgresql://", 1))
    except (ArgumentError, ValueError) as error:
        raise ValidationError("Not a database URL. Example: postgresql://user:password@host:5432/name") from error
    if url.get_backend_name() not in {"postgresql", "sqlite"}:
        raise ValidationError(f"{url.get_backend_name()} is not supported. Use postgresql:// or sqlite:///.")
    for rule in rules:
        rule(url)
    return url.set(drivername="postgresql+psycopg2") if url.get_backend_name() == "postgresql" else url


def _with_host(url: URL | None, host: str) -> Any:
    """Return the URL with another host, such as that of a pooler which shares the server's connections out."""
    return url.set(host=host) if url and host and url.get_backend_name() == "postgresql" else url


def _redis_url(text: str) -> None:
    """Refuse what redis-py could not connect to, before it tries."""
    url = _split(text)
    database = url.scheme == "unix" or re.fullmatch(r"/?[0-9]{0,3}", url.path)
    if text and not (url.scheme in {"redis", "rediss", "unix"} and database):
        example = "redis://host:6379/0"
        raise ValidationError(f"Not a Redis URL. Must begin with redis://, rediss:// or unix://; example: {example}")


def _sentry_dsn(text: str) -> None:
    """Refuse what Sentry's client would stop at."""
    url = _split(text)
    if text and not (url.scheme in {"http", "https"} and url.username and url.hostname and url.path.strip("/")):
        raise ValidationError("Not a Sentry DSN. Example: https://key@o1.ingest.sentry.io/2")


def _http_url(text: str) -> None:
    """Refuse what OpenTelemetry's exporter could not post to."""
    url = _split(text)
    if text and not (url.scheme in {"http", "https"} and url.hostname):
        raise ValidationError("Not an address that traces can be posted to. Example: http://collector:4318")


def _otlp_headers(text: str) -> None:
    """Refuse what OpenTelemetry would leave out with a warning that quotes it, key and all."""
    if not all(OTLP_HEADER.fullmatch(part.strip()) for part in text.split(",") if part.strip()):
        raise ValidationError("Not a list of name=value. Write a comma or a quote in a value as %2C or %22.")


def _split(text: str) -> SplitResult:
    """Return the parts of a URL, empty ones for a text with a port or a bracket that cannot be."""
    try:
        url = urlsplit(text)
        url.port  # noqa: B018 - raises ValueError unless it is a number
    except ValueError:
        return urlsplit("")
    return url


def _log_file(text: str) -> None:
    """Refuse a file in a folder that is not there, or where the first rotation would fail."""
    folder = Path(text).absolute().parent
    if text and not folder.is_dir():
        raise ValidationError("Its folder does not exist. Make it first.")
    if text and not os.access(folder, os.W_OK | os.X_OK):
        raise ValidationError("Its folder cannot be written by the user who runs this. Give it to them.")


def _report(environment: str, problems: Mapping[str, list[str]]) -> str:
    lines = [f"  {name}: {' '.join(messages)}" for name, messages in sorted(problems.items())]
    return "\n".join(
        [
            f"The settings of the {environment} environment cannot be used:",
            *lines,
            "Each variable is explained in .env.example.",
        ]
    )
