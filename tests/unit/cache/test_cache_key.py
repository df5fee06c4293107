"""Which question an answer belongs to: the same in every process, and never another one's."""

import os
import subprocess
import sys

from hypothesis import given
from hypothesis import strategies as st
from marshmallow import Schema, fields

from app.cache.policy import key_of, namespace
from tests.support.cache_site import Site
from tests.support.helpers import ROOT

QUESTION = ("products.index", {"b": 1, "a": "é"}, [("q", "mug"), ("sort", "name")])
PROGRAM = f"from app.cache.policy import key_of, namespace; print(hash('a'), namespace(), key_of(*{QUESTION!r}))"
QUESTIONS = st.tuples(
    st.text(max_size=3),
    st.dictionaries(st.text(max_size=2), st.one_of(st.integers(0, 9), st.text(max_size=2)), max_size=2),
    st.lists(st.tuples(st.text(max_size=2), st.text(max_size=2)), max_size=2),
)


class Query(Schema):
    """Two parameters, one of them under another name."""

    q = fields.String()
    size = fields.Integer(data_key="page-size")


def test_same_in_every_process():
    """A process whose hash() differs has the same key and namespace."""
    environ = {**os.environ, "PYTHONHASHSEED": "12345"}
    command = [sys.executable, "-c", PROGRAM]
    done = subprocess.run(command, cwd=ROOT, env=environ, capture_output=True, text=True, check=True, timeout=30)
    other_hash, *others = done.stdout.split()
    assert int(other_hash) != hash("a")
    assert others == [namespace(), key_of(*QUESTION)]


@given(one=QUESTIONS, other=QUESTIONS)
def test_depends_on_the_whole_question(one, other):
    """Two keys are equal exactly if endpoint, arguments and query are."""
    assert (key_of(*one) == key_of(*other)) == (one == other)


def test_order_of_parameters():
    """The order in which a client writes the parameters makes no other question."""
    site = Site(query=Query)
    site.get("/thing?q=a&page-size=2")
    assert site.said("/thing?page-size=2&q=a") == "app; hit; "


def test_values_differ():
    """Another value, one more, or none is another question."""
    site = Site(query=Query)
    bodies = [site.get(path).text for path in ("/thing", "/thing?q=a", "/thing?q=b", "/thing?q=a&q=b", "/thing/a")]
    assert bodies == ["1", "2", "3", "4", "5"]


def test_repeated_values_keep_their_order():
    """A parameter that is given twice may mean something else the other way round."""
    keys = [key_of("e", {}, [("q", "a"), ("q", "b")]), key_of("e", {}, [("q", "b"), ("q", "a")])]
    assert keys[0] != keys[1]


def test_unknown_parameter():
    """A parameter that the view does not declare goes to the view: nobody can fill the cache with made-up names."""
    site = Site(query=Query)
    assert [site.said("/thing?utm=1"), site.said("/thing?size=2")] == ["app; fwd=bypass", "app; fwd=bypass"]
    assert site.stored() == []


def test_no_parameter_is_known_by_default():
    """A view without a query schema is cached without a query alone."""
    assert Site().said("/thing?q=a") == "app; fwd=bypass"


def test_credentials():
    """A request that says who is asking is neither answered from the cache nor put into it."""
    site = Site()
    for headers in ({"Authorization": "Bearer x"}, {"Cookie": "session=x"}):
        assert site.said(headers=headers) == "app; fwd=bypass"
    assert site.stored() == []


def test_credentials_at_a_public_view():
    """Where the answer is the same whoever asks, credentials change nothing."""
    site = Site(public=True)
    site.get()
    assert site.said(headers={"Authorization": "Bearer x", "Cookie": "session=x"}) == "app; hit; "
