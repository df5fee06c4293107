"""Writes forget what was made from their rows: after the commit, and only then."""

from contextlib import suppress

import pytest
from sqlalchemy import delete, update
from sqlalchemy.schema import CreateTable

from app.db.session import transaction
from app.extensions import db
from app.models import ApiToken, Product

MUG = {"sku": "MUG", "name": "Mug", "price": 1, "currency": "EUR"}


class Forgotten:
    """Takes the cache's place and remembers what it was told to forget, and whether the row could be seen by then."""

    def __init__(self):
        self.tags = []

    def forget(self, tags):
        """Remember."""
        self.tags.append(tags)


@pytest.fixture
def cache(app):
    """The stand-in, in an application whose database has the tables."""
    with app.app_context():
        with db.engine.begin() as connection:
            connection.execute(CreateTable(Product.__table__))
            connection.execute(CreateTable(ApiToken.__table__))
        app.extensions["cache"] = Forgotten()
        yield app.extensions["cache"]


def add(**changes):
    """Add a product in a transaction of its own."""
    with transaction() as session:
        product = Product(**MUG | changes)
        session.add(product)
    return product


def test_insert(cache):
    """A new row ends what was made from its table."""
    add()
    assert cache.tags == [["products"]]


def test_update(cache):
    """So does a changed one."""
    product = add()
    with transaction() as session:
        session.get(Product, product.id).price = 2
    assert cache.tags == [["products"]] * 2


def test_update_to_the_same(cache):
    """A change that changes nothing ends nothing."""
    product = add()
    with transaction() as session:
        session.get(Product, product.id).price = MUG["price"]
    assert cache.tags == [["products"]]


def test_delete(cache):
    """And a deleted one."""
    product = add()
    with transaction() as session:
        session.delete(session.get(Product, product.id))
    assert cache.tags == [["products"]] * 2


@pytest.mark.parametrize("statement", [update(Product).values(price=3), delete(Product)])
def test_statement(cache, statement):
    """A statement over many rows ends what was made from them, like a change of one."""
    add()
    with transaction() as session:
        session.execute(statement)
    assert cache.tags == [["products"]] * 2


@pytest.mark.usefixtures("cache")
def test_session_begun_by_a_read():
    """A session that has read before the block is committed at the block's end all the same."""
    product = add()
    db.session.get(Product, product.id)
    add(sku="CUP")
    db.session.remove()
    assert db.session.query(Product).count() == 2


def test_inner_block_is_part_of_the_outer(cache):
    """A block in a block commits nothing by itself: what fails later takes it along."""
    with suppress(KeyError), transaction():
        add()
        raise KeyError
    assert (db.session.query(Product).count(), cache.tags) == (0, [])


def test_not_before_the_commit(cache):
    """What is flushed is not yet there for others: they would put the old rows back."""
    with transaction() as session:
        session.add(Product(**MUG))
        session.flush()
        assert cache.tags == []
    assert cache.tags == [["products"]]


def test_rollback(cache):
    """What is rolled back forgets nothing, neither then nor with the next commit."""
    with suppress(ZeroDivisionError), transaction() as session:
        session.add(Product(**MUG))
        session.flush()
        raise ZeroDivisionError
    with transaction() as session:
        session.add(ApiToken(name="a", hash="b", scopes=""))
    assert cache.tags == []


def test_once(cache):
    """Many rows of one transaction are one message."""
    with transaction() as session:
        session.add_all([Product(**MUG | {"sku": f"MUG-{number}"}) for number in range(3)])
        session.flush()
        session.add(Product(**MUG))
    assert cache.tags == [["products"]]


def test_read(cache):
    """Reading forgets nothing."""
    product = add()
    with transaction() as session:
        session.get(Product, product.id)
    assert len(cache.tags) == 1


def test_listening_twice(cache, make_app):
    """A second application in the process does not make the first forget twice."""
    make_app()
    add()
    assert cache.tags == [["products"]]
