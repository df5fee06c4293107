"""Writes invalidate cached responses after the commit, and only then."""

from contextlib import suppress

import pytest
from sqlalchemy import delete, update
from sqlalchemy.schema import CreateTable

from app.db.session import transaction
from app.extensions import db
from app.models import ApiToken, Product

MUG = {"sku": "MUG", "name": "Mug", "price": 1, "currency": "EUR"}


class RecordingCache:
    """Records the invalidated tags."""

    def __init__(self):
        self.tags = []

    def invalidate(self, tags):
        """Record TAGS."""
        self.tags.append(tags)


@pytest.fixture
def cache(app):
    """A recording cache, in an application whose database has the tables."""
    with app.app_context():
        with db.engine.begin() as connection:
            connection.execute(CreateTable(Product.__table__))
            connection.execute(CreateTable(ApiToken.__table__))
        app.extensions["cache"] = RecordingCache()
        yield app.extensions["cache"]


def add(**changes):
    """Add a product in one transaction."""
    with transaction() as session:
        product = Product(**MUG | changes)
        session.add(product)
    return product


def test_insert(cache):
    """An insert invalidates the model's tags."""
    add()
    assert cache.tags == [["products"]]


def test_update(cache):
    """An update invalidates them."""
    product = add()
    with transaction() as session:
        session.get(Product, product.id).price = 2
    assert cache.tags == [["products"]] * 2


def test_update_without_change(cache):
    """An update to the same values invalidates nothing."""
    product = add()
    with transaction() as session:
        session.get(Product, product.id).price = MUG["price"]
    assert cache.tags == [["products"]]


def test_delete(cache):
    """A delete invalidates them."""
    product = add()
    with transaction() as session:
        session.delete(session.get(Product, product.id))
    assert cache.tags == [["products"]] * 2


@pytest.mark.parametrize("statement", [update(Product).values(price=3), delete(Product)])
def test_bulk_statement(cache, statement):
    """A statement over many rows invalidates them."""
    add()
    with transaction() as session:
        session.execute(statement)
    assert cache.tags == [["products"]] * 2


@pytest.mark.usefixtures("cache")
def test_transaction_after_read():
    """`transaction` commits a session that has read before."""
    product = add()
    db.session.get(Product, product.id)
    add(sku="CUP")
    db.session.remove()
    assert db.session.query(Product).count() == 2


def test_nested_transaction(cache):
    """A nested `transaction` does not commit: an exception in the outer one rolls it back."""
    with suppress(KeyError), transaction():
        add()
        raise KeyError
    assert (db.session.query(Product).count(), cache.tags) == (0, [])


def test_flush(cache):
    """A flush invalidates nothing: other sessions would cache the old rows again."""
    with transaction() as session:
        session.add(Product(**MUG))
        session.flush()
        assert cache.tags == []
    assert cache.tags == [["products"]]


def test_rollback(cache):
    """A rollback discards the tags; the next commit does not invalidate them."""
    with suppress(ZeroDivisionError), transaction() as session:
        session.add(Product(**MUG))
        session.flush()
        raise ZeroDivisionError
    with transaction() as session:
        session.add(ApiToken(name="a", hash="b", scopes=""))
    assert cache.tags == []


def test_one_invalidation_per_transaction(cache):
    """Several rows of a transaction are one invalidation."""
    with transaction() as session:
        session.add_all([Product(**MUG | {"sku": f"MUG-{number}"}) for number in range(3)])
        session.flush()
        session.add(Product(**MUG))
    assert cache.tags == [["products"]]


def test_read(cache):
    """A read invalidates nothing."""
    product = add()
    with transaction() as session:
        session.get(Product, product.id)
    assert len(cache.tags) == 1


def test_second_application(cache, make_app):
    """A second application in the process does not register the listeners twice."""
    make_app()
    add()
    assert cache.tags == [["products"]]
