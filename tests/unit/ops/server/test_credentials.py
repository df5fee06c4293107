"""Tests of the generated secrets: complete, and consistent with each other."""

import hashlib
import json
import re
from urllib.parse import urlsplit

import pytest

from ops.errors import PreconditionError
from ops.server import credentials
from tests.support.helpers import ROOT

COMPOSE = (ROOT / "docker-compose.prod.yml").read_text(encoding="utf-8")
URLS = {"database_url": "app_password", "owner_database_url": "owner_password", "cache_url": "cache"}
LISTS = {"cache_acl": "cache", "sessions_acl": "sessions"}


@pytest.fixture
def made(tmp_path):
    """Return the secrets of a new server."""
    return credentials.missing(tmp_path)


def test_complete(made):
    """Each secret of the compose file is generated, and no other."""
    assert set(made) == set(re.findall(r"\{ file: secrets/(\w+) \}", COMPOSE))


def test_owners(made):
    """Each secret has one owner."""
    owned = [name for names in credentials.OWNERS.values() for name in names]
    assert sorted(owned) == sorted(made)


def test_users():
    """The owners are the users of the containers."""
    assert f'user: "{credentials.SERVERS}:{credentials.SERVERS}"' in COMPOSE
    assert f"USER {credentials.APPLICATION}:" in (ROOT / "Dockerfile").read_text(encoding="utf-8")


@pytest.mark.parametrize(("url", "password"), URLS.items())
def test_urls(made, url, password):
    """A URL has the password of its server."""
    assert urlsplit(made[url]).password == made[password]


def test_url_hosts(made):
    """A URL's host is a service of the compose file."""
    hosts = {urlsplit(made[url]).hostname for url in URLS}
    assert hosts == {"db", "redis-cache"}
    assert all(f"\n  {host}:" in COMPOSE for host in hosts)


def test_roles(made):
    """The users in the URLs are roles of the database."""
    text = (ROOT / "deploy/postgres/roles.sh").read_text(encoding="utf-8")
    assert {urlsplit(made[url]).username for url in ("database_url", "owner_database_url")} == {"app", "app_owner"}
    assert "/run/secrets/app_password" in text or "app_password" in text


def test_password_characters(made):
    """A password needs no quoting in a URL, in SQL or in a shell."""
    assert all(re.fullmatch(r"[\w-]{43}", made[name], re.ASCII) for name in (*URLS.values(), *LISTS.values()))


def test_unique(tmp_path, made):
    """No two secrets are equal, on one server or on two."""
    texts = [
        text
        for each in (made, credentials.missing(tmp_path))
        for text in each.values()
        if text not in {"", credentials.RESTIC}
    ]
    assert len(set(texts)) == len(texts)


@pytest.mark.parametrize(("rules", "password"), LISTS.items())
def test_access_list(made, rules, password):
    """An access list has the hash of the password and disables the default user."""
    assert made[password] not in made[rules]
    assert f"user {password} on #{hashlib.sha256(made[password].encode()).hexdigest()} " in made[rules]
    assert made[rules].startswith("user default off\n")


@pytest.mark.parametrize("rules", LISTS)
def test_monitoring(made, rules):
    """Each Redis has a monitoring user with its own password and no access to keys or settings."""
    name = LISTS[rules]
    text = json.loads(made["redis_passwords"])[f"redis://monitor@redis-{name}:6379"]
    line = next(line for line in made[rules].splitlines() if line.startswith("user monitor "))
    assert f" #{hashlib.sha256(text.encode()).hexdigest()} " in line
    assert text not in made[rules]
    assert not re.search(r"~|&|allkeys|\+@|config|keys ", line.replace("resetkeys", ""))


def test_exporter_passwords(made):
    """The passwords are stored under the URLs that Prometheus gives the exporter."""
    config = (ROOT / "deploy/observability/prometheus.yml").read_text(encoding="utf-8")
    [hosts] = re.findall(r"targets: \[(redis-.+)\]", config)
    assert "replacement: redis://$1:6379" in config
    assert "--redis.user=monitor" in COMPOSE
    assert set(json.loads(made["redis_passwords"])) == {f"redis://monitor@{host}:6379" for host in hosts.split(", ")}


def test_existing_password(tmp_path):
    """A missing URL uses the existing password."""
    (tmp_path / "app_password").write_text("that-was-there\n", encoding="utf-8")
    made = credentials.missing(tmp_path)
    assert "app_password" not in made
    assert urlsplit(made["database_url"]).password == "that-was-there"


def test_none_missing(tmp_path, made):
    """Without a missing secret nothing is generated."""
    for name, text in made.items():
        (tmp_path / name).write_text(text, encoding="utf-8")
    assert credentials.missing(tmp_path) == {}


class UnreadableFile:
    """A file of another user."""

    def exists(self):
        """Return True."""
        return True

    def read_text(self, encoding):
        """Raise PermissionError."""
        raise PermissionError(encoding)


class Folder:
    """A folder with unreadable passwords and missing URLs."""

    def __init__(self, folder):
        self.folder = folder

    def __truediv__(self, name):
        """Return a file."""
        return UnreadableFile() if name in URLS.values() else self.folder / name


def test_unreadable(tmp_path):
    """An unreadable password is refused, with a remedy."""
    with pytest.raises(PreconditionError, match="sudo"):
        credentials.missing(Folder(tmp_path))
