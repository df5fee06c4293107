"""Secrets can be read from files, and never appear in error messages."""

import pytest

from config import ConfigError, load

SECRET = "hunter2-canary"


def refused(environment="development", **environ):
    """Return the message of the ConfigError for these settings."""
    with pytest.raises(ConfigError) as caught:
        load(environment, environ)
    return str(caught.value)


@pytest.fixture
def file(tmp_path):
    """The path of a file with a secret and a line break."""
    path = tmp_path / "secret"
    path.write_text(f" {SECRET}\n", encoding="utf-8")
    return str(path)


@pytest.mark.parametrize("name", ["SECRET_KEY", "RELEASE"])
def test_file(name, file):
    """NAME_FILE is the path of a file with the value; surrounding whitespace is removed."""
    assert getattr(load("development", {f"{name}_FILE": file}), name) == SECRET


def test_url_from_file(tmp_path):
    """A database URL can be read from a file."""
    (tmp_path / "url").write_text(f"postgres://app:{SECRET}@db/app\n", encoding="utf-8")
    settings = load("development", {"DATABASE_URL_FILE": str(tmp_path / "url")})
    assert settings.SQLALCHEMY_DATABASE_URI.password == SECRET


def test_both_is_refused(file):
    """Setting both NAME and NAME_FILE is refused."""
    message = refused(SECRET_KEY="x", SECRET_KEY_FILE=file)
    assert "SECRET_KEY: Set SECRET_KEY or SECRET_KEY_FILE, not both." in message


def test_empty_value_and_file(file):
    """An empty NAME does not conflict with NAME_FILE."""
    assert load("development", {"SECRET_KEY": "", "SECRET_KEY_FILE": file}).SECRET_KEY == SECRET


def test_unreadable_file(tmp_path):
    """An unreadable file is one problem, not also a missing variable."""
    message = refused("production", SECRET_KEY_FILE=str(tmp_path / "none"))
    assert "  SECRET_KEY_FILE: The file cannot be read (FileNotFoundError)." in message
    assert "  SECRET_KEY:" not in message


def test_binary_file(tmp_path):
    """A file that is not UTF-8 is refused like a missing one."""
    (tmp_path / "bytes").write_bytes(b"\xff\xfe\x00")
    assert "SECRET_KEY_FILE: The file cannot be read" in refused(SECRET_KEY_FILE=str(tmp_path / "bytes"))


def test_empty_file_is_unset(tmp_path):
    """An empty file counts as unset."""
    (tmp_path / "empty").write_text("\n", encoding="utf-8")
    assert "SECRET_KEY:" in refused("production", SECRET_KEY_FILE=str(tmp_path / "empty"))


BAD_URLS = [
    f"mysql://app:{SECRET}@db/app",
    f"postgresql://app:{SECRET}@db:port/app",
    f"//app:{SECRET}@db/app",
    f"postgresql://app:{SECRET}@[::1/app",
    f"app:{SECRET}@db",
    SECRET,
]


@pytest.mark.parametrize("url", BAD_URLS)
@pytest.mark.parametrize("name", ["DATABASE_URL", "MIGRATION_DATABASE_URL", "REDIS_URL"])
def test_no_message_repeats_a_password(name, url):
    """The message about an invalid URL does not contain it, because it ends up in logs."""
    message = refused(**{name: url})
    assert name in message
    assert SECRET not in message


def test_no_message_repeats_a_weak_key():
    """The message about a weak key does not contain it."""
    assert "a-weak-key" not in refused("production", SECRET_KEY="a-weak-key")
