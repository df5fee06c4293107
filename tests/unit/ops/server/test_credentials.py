"""The secrets of a server: all that the compose file names, and each fits the others."""

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
    """The secrets of a new server."""
    return credentials.missing(tmp_path)


def test_all(made):
    """Each secret that the compose file names is made, and no other."""
    assert set(made) == set(re.findall(r"\{ file: secrets/(\w+) \}", COMPOSE))


def test_owners(made):
    """Each has one user that reads it."""
    owned = [name for names in credentials.OWNERS.values() for name in names]
    assert sorted(owned) == sorted(made)


def test_users():
    """The users are those that the containers run as."""
    assert f'user: "{credentials.SERVERS}:{credentials.SERVERS}"' in COMPOSE
    assert f"USER {credentials.APPLICATION}:" in (ROOT / "Dockerfile").read_text(encoding="utf-8")


@pytest.mark.parametrize(("url", "password"), URLS.items())
def test_urls(made, url, password):
    """A URL holds the password that the server behind it was given."""
    assert urlsplit(made[url]).password == made[password]


def test_url_hosts(made):
    """A URL leads to a service of the compose file."""
    hosts = {urlsplit(made[url]).hostname for url in URLS}
    assert hosts == {"db", "redis-cache"}
    assert all(f"\n  {host}:" in COMPOSE for host in hosts)


def test_roles(made):
    """The application and the migrations come as the roles that the database's first start makes."""
    text = (ROOT / "deploy/postgres/roles.sh").read_text(encoding="utf-8")
    assert {urlsplit(made[url]).username for url in ("database_url", "owner_database_url")} == {"app", "app_owner"}
    assert "/run/secrets/app_password" in text or "app_password" in text


def test_plain(made):
    """A password needs no quoting in a URL, in SQL or in a shell, and cannot be guessed."""
    assert all(re.fullmatch(r"[\w-]{43}", made[name], re.ASCII) for name in (*URLS.values(), *LISTS.values()))


def test_all_different(tmp_path, made):
    """No two are the same, nor are those of two servers."""
    texts = [
        text
        for each in (made, credentials.missing(tmp_path))
        for text in each.values()
        if text not in {"", credentials.RESTIC}
    ]
    assert len(set(texts)) == len(texts)


@pytest.mark.parametrize(("rules", "password"), LISTS.items())
def test_access_list(made, rules, password):
    """An access list knows the password by its hash alone, and turns the user without one off."""
    assert made[password] not in made[rules]
    assert f"user {password} on #{hashlib.sha256(made[password].encode()).hexdigest()} " in made[rules]
    assert made[rules].startswith("user default off\n")


@pytest.mark.parametrize("rules", LISTS)
def test_monitoring(made, rules):
    """Monitoring has a user and a password of its own in each Redis, and reaches no key and no setting."""
    name = LISTS[rules]
    text = json.loads(made["redis_passwords"])[f"redis://monitor@redis-{name}:6379"]
    line = next(line for line in made[rules].splitlines() if line.startswith("user monitor "))
    assert f" #{hashlib.sha256(text.encode()).hexdigest()} " in line
    assert text not in made[rules]
    assert not re.search(r"~|&|allkeys|\+@|config|keys ", line.replace("resetkeys", ""))


def test_the_exporter_finds_its_passwords(made):
    """The addresses with which passwords are kept are those that Prometheus has the exporter ask, as that user."""
    config = (ROOT / "deploy/observability/prometheus.yml").read_text(encoding="utf-8")
    [hosts] = re.findall(r"targets: \[(redis-.+)\]", config)
    assert "replacement: redis://$1:6379" in config
    assert "--redis.user=monitor" in COMPOSE
    assert set(json.loads(made["redis_passwords"])) == {f"redis://monitor@{host}:6379" for host in hosts.split(", ")}


def test_used_again(tmp_path):
    """What is made later is made of the password that is there."""
    (tmp_path / "app_password").write_text("that-was-there\n", encoding="utf-8")
    made = credentials.missing(tmp_path)
    assert "app_password" not in made
    assert urlsplit(made["database_url"]).password == "that-was-there"


def test_complete(tmp_path, made):
    """Where nothing is missing nothing is made."""
    for name, text in made.items():
        (tmp_path / name).write_text(text, encoding="utf-8")
    assert credentials.missing(tmp_path) == {}


class OthersFile:
    """A file that is there and belongs to another user."""

    def exists(self):
        """It is there."""
        return True

    def read_text(self, encoding):
        """It cannot be read."""
        raise PermissionError(encoding)


class Folder:
    """A folder in which the passwords were given away, and what holds them is missing."""

    def __init__(self, folder):
        self.folder = folder

    def __truediv__(self, name):
        """Return a file in it."""
        return OthersFile() if name in URLS.values() else self.folder / name


def test_unreadable(tmp_path):
    """A password that is there and cannot be read is not guessed at; the message says what to do."""
    with pytest.raises(PreconditionError, match="sudo"):
        credentials.missing(Folder(tmp_path))
