"""In production security settings have no default, and weak values are refused."""

import secrets

import pytest
from flask import Flask, session

from config import DEVELOPMENT_SECRET_KEY, ConfigError, load

GOOD = {
    "SECRET_KEY": secrets.token_urlsafe(48),
    "DATABASE_URL": "postgresql://app:hunter22@db/app",
    "REDIS_URL": "redis://cache",
    "TRUSTED_HOSTS": "shop.example",
}


def refused(**environ):
    """Return the variables in the ConfigError for these settings."""
    with pytest.raises(ConfigError) as caught:
        load("production", environ)
    return [line.split(":")[0].strip() for line in str(caught.value).splitlines()[1:-1]]


def test_good_settings():
    """Production starts with the four required settings, without debugging and with JSON logs."""
    settings = load("production", GOOD)
    assert (settings.DEBUG, settings.TESTING, settings.LOG_FORMAT) == (False, False, "json")
    assert settings.TRUSTED_HOSTS == ["shop.example"]


def test_every_missing_variable_is_named():
    """The error lists every missing variable."""
    assert refused() == ["DATABASE_URL", "REDIS_URL", "SECRET_KEY", "TRUSTED_HOSTS"]


@pytest.mark.parametrize("name", GOOD)
def test_empty_is_missing(name):
    """An empty value counts as missing."""
    assert refused(**GOOD | {name: ""}) == [name]


@pytest.mark.parametrize("key", ["short-" + "xyz0123456789", "a" * 32, "abcdefghi" * 9, DEVELOPMENT_SECRET_KEY])
def test_weak_key(key):
    """A key that is short, has few distinct characters, or is the development key is refused."""
    assert refused(**GOOD | {"SECRET_KEY": key}) == ["SECRET_KEY"]


def test_random_key_with_words():
    """A strong key is accepted even if it contains words."""
    key = "dev-secret-changeme-" + secrets.token_urlsafe(32)
    assert key == load("production", GOOD | {"SECRET_KEY": key}).SECRET_KEY


@pytest.mark.parametrize("url", ["sqlite://", "sqlite:////srv/app.db"])
@pytest.mark.parametrize("name", ["DATABASE_URL", "MIGRATION_DATABASE_URL"])
def test_no_sqlite(name, url):
    """SQLite is refused."""
    assert refused(**GOOD | {name: url}) == [name]


@pytest.mark.parametrize("value", ["1", "true", "on", "yes"])
def test_no_debugger(value):
    """FLASK_DEBUG is refused."""
    assert refused(**GOOD | {"FLASK_DEBUG": value}) == ["FLASK_DEBUG"]


@pytest.mark.parametrize("value", ["", "0", "false", "No"])
def test_debugger_off(value):
    """FLASK_DEBUG is accepted if it is off."""
    assert load("production", GOOD | {"FLASK_DEBUG": value}).DEBUG is False


def test_session_cookie():
    """A session cookie is Secure, HttpOnly and limited to this host."""
    app = Flask("shop")
    app.config.from_object(load("production", GOOD))
    app.secret_key = "signs"
    app.add_url_rule("/", view_func=lambda: session.update(user=1) or "")
    cookie = app.test_client().get("/", base_url="https://shop.example").headers["Set-Cookie"]
    assert cookie.startswith("__Host-session=")
    assert {part.strip() for part in cookie.split(";")[1:]} == {"Secure", "HttpOnly", "Path=/", "SameSite=Lax"}
