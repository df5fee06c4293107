"""Secrets from files, and secrets that no message repeats."""

import pytest

from config import ConfigError, load

SECRET = "hunter2-canary"


def refused(environment="development", **environ):
    """Return what `load` says about settings that it refuses."""
    with pytest.raises(ConfigError) as refusal:
        load(environment, environ)
    return str(refusal.value)


@pytest.fixture
def file(tmp_path):
    """The path of a file that holds a secret and a line break, as editors leave one."""
    path = tmp_path / "secret"
    path.write_text(f" {SECRET}\n", encoding="utf-8")
    return str(path)


@pytest.mark.parametrize("name", ["SECRET_KEY", "RELEASE"])
def test_file(name, file):
    """NAME_FILE is the path of a file that holds the value; blanks around it do not count."""
    assert getattr(load("development", {f"{name}_FILE": file}), name) == SECRET


def test_url_from_file(tmp_path):
    """A whole database URL may come from a file."""
    (tmp_path / "url").write_text(f"postgres://app:{SECRET}@db/app\n", encoding="utf-8")
    settings = load("development", {"DATABASE_URL_FILE": str(tmp_path / "url")})
    assert settings.SQLALCHEMY_DATABASE_URI.password == SECRET


def test_both_is_refused(file):
    """A value and a file at once are refused: one of them would be ignored in silence."""
    message = refused(SECRET_KEY="x", SECRET_KEY_FILE=file)
    assert "SECRET_KEY: Set SECRET_KEY or SECRET_KEY_FILE, not both." in message


def test_empty_value_beside_file(file):
    """An empty value beside a file is no second value."""
    assert load("development", {"SECRET_KEY": "", "SECRET_KEY_FILE": file}).SECRET_KEY == SECRET


def test_unreadable_file(tmp_path):
    """A file that cannot be read is named by its variable, which is then not said to be missing too."""
    message = refused("production", SECRET_KEY_FILE=str(tmp_path / "none"))
    assert "  SECRET_KEY_FILE: The file cannot be read (FileNotFoundError)." in message
    assert "  SECRET_KEY:" not in message


def test_file_of_bytes(tmp_path):
    """A file that is no text is refused like one that is not there."""
    (tmp_path / "bytes").write_bytes(b"\xff\xfe\x00")
    assert "SECRET_KEY_FILE: The file cannot be read" in refused(SECRET_KEY_FILE=str(tmp_path / "bytes"))


def test_empty_file_is_unset(tmp_path):
    """A file with nothing in it is no secret."""
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
    """A URL that cannot be used is named without its text: the message ends up in a log."""
    message = refused(**{name: url})
    assert name in message
    assert SECRET not in message


def test_no_message_repeats_a_weak_key():
    """Nor is a key that is too weak repeated."""
    assert "a-weak-key" not in refused("production", SECRET_KEY="a-weak-key")
