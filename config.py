"""Settings, which the application factory reads from the environment once.

Importing this module reads nothing and cannot fail. `load` reads everything and reports all missing or invalid
variables at once. Each variable may instead be given as NAME_FILE, the path of a file that contains the value, as
Docker and Kubernetes provide secrets. `.env.example` explains each variable.
"""

import os
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any, ClassVar
from urllib.parse import SplitResult, urlsplit

from marshmallow import ValidationError, fields, validate
from sqlalchemy.engine import URL, make_url
from sqlalchemy.exc import ArgumentError

DEVELOPMENT_SECRET_KEY = "development-only-and-refused-in-production"  # noqa: S105 - not a secret
OTLP_HEADER = re.compile(r"[!#-'*+.0-9A-Z^-z|~-]+[ \t]*=[ !#-+\--:<-\[\]-~]*")  # https://www.w3.org/TR/baggage/
SAMPLERS = ("always_on", "always_off", "traceidratio")
REQUIRED: Any = object()


class ConfigError(Exception):
    """The settings are invalid; the text names every variable that must change, one per line."""


class Environment:
    """Reads and converts variables from a mapping, and collects all problems; an empty value counts as unset."""

    def __init__(self, environ: Mapping[str, str]) -> None:
        self.environ = environ
        self.problems: dict[str, list[str]] = {}

    def string(self, name: str, default: Any = REQUIRED, validators: Any = ()) -> Any:
        """Read a string."""
        return self._read(name, default, fields.String(validate=validators))

    def strings(self, name: str, default: Any = REQUIRED) -> Any:
        """Read a comma-separated list."""
        text = self.string(name, default)
        return [item.strip() for item in text.split(",")] if isinstance(text, str) else text

    def integer(self, name: str, default: Any, minimum: int, maximum: int | None = None) -> Any:
        """Read an integer within limits."""
        return self._read(name, default, fields.Integer(validate=validate.Range(minimum, maximum)))

    def number(self, name: str, default: float, minimum: float, maximum: float) -> Any:
        """Read a number within limits."""
        return self._read(name, default, fields.Float(validate=validate.Range(minimum, maximum)))

    def boolean(self, name: str, default: bool) -> Any:  # noqa: FBT001 - the value of the setting
        """Read a switch."""
        return self._read(name, default, fields.Boolean())

    def _read(self, name: str, default: Any, field: "fields.Field[Any]") -> Any:
        path = self.environ.get(f"{name}_FILE")
        text = self._content(name, path) if path else self.environ.get(name)
        if not text:
            if default is REQUIRED and not {name, f"{name}_FILE"} & self.problems.keys():
                self.problems[name] = ["Environment variable not set."]
            return None if default is REQUIRED else default
        try:
            return field.deserialize(text)
        except ValidationError as error:
            self.problems[name] = list(error.messages)
            return None

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
    """Settings of all environments; each attribute is the Flask setting of the same name."""

    ENVIRONMENT: ClassVar[str]
    DEBUG = False
    TESTING = False
    SQLALCHEMY_TRACK_MODIFICATIONS = False

    # Of settings whose default depends on the environment; where one is missing, the setting is required.
    environment_defaults: ClassVar[dict[str, Any]] = {}
    secret_key_rules: ClassVar[list[Any]] = []
    database_rules: ClassVar[list[Any]] = []

    def __init__(self, env: Environment) -> None:
        self.RELEASE = env.string("RELEASE", "unknown", validate.Regexp(r"[!-~]{1,200}\Z"))
        self._read_secrets(env)
        self._read_database(env)
        self._read_redis(env)
        self._read_http(env)
        self._read_logging(env)
        self._read_sentry(env)
        self._read_tracing(env)
        self.METRICS = env.boolean("METRICS", default=True)

    def _environment_default(self, name: str) -> Any:
        return self.environment_defaults.get(name, REQUIRED)

    def _read_secrets(self, env: Environment) -> None:
        self.SECRET_KEY = env.string("SECRET_KEY", self._environment_default("SECRET_KEY"), self.secret_key_rules)
        self.SECRET_KEY_FALLBACKS = env.strings("SECRET_KEY_FALLBACKS", [])

    def _read_database(self, env: Environment) -> None:
        direct = self._database_url(env, "DATABASE_URL", self._environment_default("DATABASE_URL"))
        self.SQLALCHEMY_DATABASE_URI = _with_host(direct, env.string("DATABASE_HOST", ""))
        self.MIGRATION_DATABASE_URL = self._database_url(env, "MIGRATION_DATABASE_URL", "") or direct
        self.DB_POOL_SIZE = env.integer("DB_POOL_SIZE", env.integer("GUNICORN_THREADS", 4, 1), 1, 100)
        self.DB_TIMEOUT = env.number("DB_TIMEOUT", 1.25, 0.1, 10)

    def _database_url(self, env: Environment, name: str, default: Any) -> Any:
        text = env.string(name, default)
        try:
            return _parse_database_url(text, self.database_rules) if text else None
        except ValidationError as error:
            env.problems[name] = list(error.messages)
            return None

    def _read_redis(self, env: Environment) -> None:
        self.REDIS_URL = env.string("REDIS_URL", self._environment_default("REDIS_URL"), _validate_redis_url)
        self.REDIS_TIMEOUT = env.number("REDIS_TIMEOUT", 0.25, 0.01, 5)
        self.CACHE_MAX_BYTES = env.integer("CACHE_MAX_BYTES", 64 * 2**20, 2**20)

    def _read_http(self, env: Environment) -> None:
        self.TRUSTED_HOSTS = env.strings("TRUSTED_HOSTS", self._environment_default("TRUSTED_HOSTS"))
        self.TRUSTED_PROXIES = env.integer("TRUSTED_PROXIES", 0, 0, 5)
        self.MAX_CONTENT_LENGTH = env.integer("MAX_CONTENT_LENGTH", 64 * 1024, 1024, 2**30)

    def _read_logging(self, env: Environment) -> None:
        levels = validate.OneOf(["DEBUG", "INFO", "WARNING", "ERROR", "CRITICAL"])
        self.LOG_LEVEL = env.string("LOG_LEVEL", "INFO", levels)
        self.LOG_FORMAT = env.string(
            "LOG_FORMAT", self._environment_default("LOG_FORMAT"), validate.OneOf(["json", "text"])
        )
        self.LOG_TO_FILE = env.string("LOG_TO_FILE", "", _validate_log_file)

    def _read_sentry(self, env: Environment) -> None:
        self.SENTRY_DSN = env.string("SENTRY_DSN", "", _validate_sentry_dsn)
        self.SENTRY_TRACES_SAMPLE_RATE = env.number("SENTRY_TRACES_SAMPLE_RATE", 0.0, 0, 1)

    def _read_tracing(self, env: Environment) -> None:
        self.OTEL_EXPORTER_OTLP_ENDPOINT = env.string("OTEL_EXPORTER_OTLP_ENDPOINT", "", _validate_http_url)
        self.OTEL_EXPORTER_OTLP_HEADERS = env.string("OTEL_EXPORTER_OTLP_HEADERS", "", _validate_otlp_headers)
        self.OTEL_SERVICE_NAME = env.string("OTEL_SERVICE_NAME", "web")
        samplers = validate.OneOf([f"{kind}{name}" for kind in ("", "parentbased_") for name in SAMPLERS])
        self.OTEL_TRACES_SAMPLER = env.string("OTEL_TRACES_SAMPLER", "parentbased_always_on", samplers)
        self.OTEL_TRACES_SAMPLER_ARG = env.number("OTEL_TRACES_SAMPLER_ARG", 1.0, 0, 1)


class DevelopmentConfig(Config):
    """Development: every setting has a default."""

    ENVIRONMENT = "development"
    environment_defaults: ClassVar = {
        "SECRET_KEY": DEVELOPMENT_SECRET_KEY,
        "DATABASE_URL": "sqlite:///app.db",
        "REDIS_URL": "",
        "TRUSTED_HOSTS": None,
        "LOG_FORMAT": "text",
    }


class TestingConfig(Config):
    """The test suite: in memory, or on the server in TEST_DATABASE_URL."""

    ENVIRONMENT = "testing"
    TESTING = True
    environment_defaults: ClassVar = DevelopmentConfig.environment_defaults | {
        "DATABASE_URL": "sqlite://",
        "LOG_FORMAT": "json",
    }

    def _read_database(self, env: Environment) -> None:
        super()._read_database(env)
        if url := self._database_url(env, "TEST_DATABASE_URL", ""):
            self.SQLALCHEMY_DATABASE_URI = self.MIGRATION_DATABASE_URL = url


class ProductionConfig(Config):
    """Production: security settings have no default, and weak values are rejected."""

    ENVIRONMENT = "production"
    environment_defaults: ClassVar = {"LOG_FORMAT": "json"}

    # For future sessions; the application has none (app/http/sessions.py). No other host can set a __Host- cookie.
    SESSION_COOKIE_NAME = "__Host-session"
    SESSION_COOKIE_SECURE = True
    SESSION_COOKIE_SAMESITE = "Lax"

    def __init__(self, env: Environment) -> None:
        super().__init__(env)
        if env.string("FLASK_DEBUG", "0").lower() not in {"0", "false", "no"}:
            env.problems["FLASK_DEBUG"] = ["Must be off: the debugger lets anyone run code."]

    @staticmethod
    def _validate_key(value: str) -> None:
        from app.checks import strength  # noqa: PLC0415 - the package `app` imports this module

        if strength.is_trivial_key(value):
            remedy = "python -c 'import secrets; print(secrets.token_urlsafe(48))'"
            raise ValidationError(f"Too weak to sign with. Generate one with: {remedy}")

    @staticmethod
    def _validate_server(url: URL) -> None:
        if url.get_backend_name() == "sqlite":
            raise ValidationError("SQLite is for development. Use a Postgres server: postgresql://…")

    secret_key_rules: ClassVar = [_validate_key]
    database_rules: ClassVar = [_validate_server]


ENVIRONMENTS = {kind.ENVIRONMENT: kind for kind in (DevelopmentConfig, TestingConfig, ProductionConfig)}


def load(environment: str | None = None, environ: Mapping[str, str] = os.environ) -> Config:
    """Read and validate the settings of ENVIRONMENT, by default the one in FLASK_ENV, else production.

    Raises ConfigError, which names every missing, weak or malformed variable.
    """
    name = environment or environ.get("FLASK_ENV") or ProductionConfig.ENVIRONMENT
    if name not in ENVIRONMENTS:
        raise ConfigError(f"FLASK_ENV: {name!r} is unknown. Use one of: {', '.join(ENVIRONMENTS)}.")
    env = Environment(environ)
    config = ENVIRONMENTS[name](env)
    if env.problems:
        raise ConfigError(_report(name, env.problems))
    return config


def _parse_database_url(text: str, rules: list[Any]) -> URL:
    """Parse a database URL; for Postgres, always select the psycopg2 driver.

    SQLAlchemy 2.1 takes `postgresql://` to mean psycopg 3, and rejects `postgres://`.
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
    """Return the URL with another host, such as that of a connection pooler."""
    return url.set(host=host) if url and host and url.get_backend_name() == "postgresql" else url


def _validate_redis_url(text: str) -> None:
    url = _split(text)
    has_valid_path = url.scheme == "unix" or re.fullmatch(r"/?[0-9]{0,3}", url.path)
    if not (url.scheme in {"redis", "rediss", "unix"} and has_valid_path):
        example = "redis://host:6379/0"
        raise ValidationError(f"Not a Redis URL. Must begin with redis://, rediss:// or unix://; example: {example}")


def _validate_sentry_dsn(text: str) -> None:
    url = _split(text)
    if not (url.scheme in {"http", "https"} and url.username and url.hostname and url.path.strip("/")):
        raise ValidationError("Not a Sentry DSN. Example: https://key@o1.ingest.sentry.io/2")


def _validate_http_url(text: str) -> None:
    url = _split(text)
    if not (url.scheme in {"http", "https"} and url.hostname):
        raise ValidationError("Not an HTTP URL. Example: http://collector:4318")


def _validate_otlp_headers(text: str) -> None:
    """Reject headers that OpenTelemetry would skip with a warning that quotes them, including credentials."""
    if not all(OTLP_HEADER.fullmatch(part.strip()) for part in text.split(",") if part.strip()):
        raise ValidationError("Not a list of name=value. Write a comma or a quote in a value as %2C or %22.")


def _split(text: str) -> SplitResult:
    """Return the parts of a URL; all are empty if its port or brackets are invalid."""
    try:
        url = urlsplit(text)
        url.port  # noqa: B018 - raises ValueError unless it is a number
    except ValueError:
        return urlsplit("")
    return url


def _validate_log_file(text: str) -> None:
    """Reject a file whose folder does not exist or is not writable, which would make rotation fail."""
    folder = Path(text).absolute().parent
    if not folder.is_dir():
        raise ValidationError("Its folder does not exist. Create it first.")
    if not os.access(folder, os.W_OK | os.X_OK):
        raise ValidationError("Its folder is not writable for the user that runs the application.")


def _report(environment: str, problems: Mapping[str, list[str]]) -> str:
    lines = [f"  {name}: {' '.join(messages)}" for name, messages in sorted(problems.items())]
    return "\n".join(
        [
            f"Invalid settings for the {environment} environment:",
            *lines,
            "See .env.example for an explanation of each variable.",
        ]
    )
