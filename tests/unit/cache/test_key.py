"""The cache key: the same in every process, one for equal arguments, and none for requests that bypass the cache."""

import os
import subprocess
import sys

from hypothesis import given
from hypothesis import strategies as st
from marshmallow import Schema, fields

from app.cache.policy import make_key, namespace
from tests.support.cache_app import CachedApp
from tests.support.helpers import ROOT

ARGUMENTS = ("products.index", [{"sort": "name", "q": "é"}], {"b": 1, "a": "é"})
PROGRAM = f"from app.cache.policy import make_key, namespace; print(hash('a'), namespace(), make_key(*{ARGUMENTS!r}))"
PARAMETERS = st.dictionaries(st.text(max_size=2), st.one_of(st.integers(0, 9), st.text(max_size=2)), max_size=2)
ALL_ARGUMENTS = st.tuples(st.text(max_size=3), st.lists(PARAMETERS, max_size=1), PARAMETERS)


class Query(Schema):
    """Two parameters, one of them with a default and an alias."""

    q = fields.String()
    size = fields.Integer(data_key="page-size", load_default=20)


def test_same_in_every_process():
    """A process with another hash seed computes the same key and namespace."""
    environ = {**os.environ, "PYTHONHASHSEED": "12345"}
    command = [sys.executable, "-c", PROGRAM]
    done = subprocess.run(command, cwd=ROOT, env=environ, capture_output=True, text=True, check=True, timeout=30)
    other_hash, *others = done.stdout.split()
    assert int(other_hash) != hash("a")
    assert others == [namespace(), make_key(*ARGUMENTS)]


@given(one=ALL_ARGUMENTS, other=ALL_ARGUMENTS)
def test_key_depends_on_all_arguments(one, other):
    """Two keys are equal exactly if endpoint, query and path parameters are."""
    assert (make_key(*one) == make_key(*other)) == (one == other)


def test_validated_query():
    """Queries that validate to the same parameters share an entry: order, spelling and defaults do not matter."""
    cached_app = CachedApp(query=Query)
    cached_app.get("/thing?q=a&page-size=20")
    for query in ("page-size=20&q=a", "q=a", "q=%61&page-size=020"):
        assert cached_app.cache_status(f"/thing?{query}") == "app; hit; "


def test_other_arguments():
    """Another value, another parameter or another path is another entry."""
    cached_app = CachedApp(query=Query)
    paths = ("/thing", "/thing?q=a", "/thing?q=b", "/thing?q=b&page-size=3", "/thing/a")
    assert [cached_app.get(path).text for path in paths] == ["1", "2", "3", "4", "5"]


def test_unvalidated_query():
    """A query that no schema has validated bypasses the cache, so that clients cannot fill it."""
    cached_app = CachedApp()
    assert cached_app.cache_status("/thing?q=a") == "app; fwd=bypass"
    assert cached_app.stored_keys() == []


def test_credentials():
    """A request with credentials is neither served from the cache nor stored."""
    cached_app = CachedApp()
    for headers in ({"Authorization": "Bearer x"}, {"Cookie": "session=x"}):
        assert cached_app.cache_status(headers=headers) == "app; fwd=bypass"
    assert cached_app.stored_keys() == []


def test_credentials_for_public_view():
    """A public view is cached for requests with credentials, too."""
    cached_app = CachedApp(public=True)
    cached_app.get()
    assert cached_app.cache_status(headers={"Authorization": "Bearer x", "Cookie": "session=x"}) == "app; hit; "
