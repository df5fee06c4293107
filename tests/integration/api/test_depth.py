"""Page 10,000 costs what page 1 costs: both are read from an index, where the cursor points. On Postgres."""

import json

import pytest
from sqlalchemy import event, text

from app import create_app
from app.extensions import db
from app.services import products
from tests.integration.conftest import dispose

ROWS = 20_000
LIMIT = 20
NEEDED = LIMIT + 1  # one more shows whether there is a next page
SORTS = ["name", "-name", "price", "-price", "created_at", "-created_at"]


@pytest.fixture(scope="module")
def app(postgres_url):
    """An application on a database of many rows."""
    app = create_app("testing", {"TEST_DATABASE_URL": postgres_url})
    done = app.test_cli_runner().invoke(args=["seed", "--products", str(ROWS)])
    assert done.exit_code == 0, done.output
    with app.app_context(), db.engine.begin() as connection:
        connection.execute(text("ANALYZE products"))
    yield app
    dispose(app)


@pytest.fixture
def plan(app):
    """Return the plan, as it was executed, of the statement that a page of the list sends."""

    def explain(**query):
        with app.app_context():
            sent = statements(lambda: products.list_page(limit=LIMIT, **query))
            with db.engine.connect() as connection:
                statement, values = sent[-1]
                answer = connection.exec_driver_sql(f"EXPLAIN (ANALYZE, BUFFERS, FORMAT JSON) {statement}", values)
                found = answer.scalar()
        return (json.loads(found) if isinstance(found, str) else found)[0]["Plan"]

    return explain


def statements(act):
    """Return the statements that ACT sends, each with its values."""
    sent = []

    def note(_connection, _cursor, statement, values, *_):
        sent.append((statement, values))

    event.listen(db.engine, "before_cursor_execute", note)
    try:
        act()
    finally:
        event.remove(db.engine, "before_cursor_execute", note)
    return sent


def middle(app, sort):
    """Return the position of the row in the middle of the list."""
    column = sort.removeprefix("-")
    with app.app_context(), db.engine.connect() as connection:
        query = f"SELECT {column}, id FROM products ORDER BY {column}, id OFFSET {ROWS // 2} LIMIT 1"
        return tuple(connection.execute(text(query)).one())


def nodes(plan):
    """Yield a plan and all of its parts."""
    yield plan
    for part in plan.get("Plans", []):
        yield from nodes(part)


def examined(plan):
    """Count the rows that were read from the table or an index, those that were thrown away too."""
    leaves = [node for node in nodes(plan) if not node.get("Plans")]
    return sum(node["Actual Rows"] + node.get("Rows Removed by Filter", 0) for node in leaves)


@pytest.mark.parametrize("sort", SORTS)
def test_depth_does_not_matter(app, plan, sort):
    """In each order the first page and one in the middle read just the rows they show, from that order's index."""
    for found in (plan(sort=sort), plan(sort=sort, after=middle(app, sort))):
        scans = [node for node in nodes(found) if node["Node Type"].endswith("Scan")]
        assert [node.get("Index Name") for node in scans] == [f"ix_products_{sort.removeprefix('-')}_id"]
        assert examined(found) <= NEEDED
        assert found["Shared Hit Blocks"] + found["Shared Read Blocks"] < 100
        assert "Sort" not in {node["Node Type"] for node in nodes(found)}


def test_a_currency_by_price_is_read_in_order(app, plan):
    """One currency in the order of prices has an index of its own, at any depth."""
    for after in (None, middle(app, "price")):
        found = plan(sort="price", currency="JPY", after=after)
        assert examined(found) <= NEEDED
        assert "ix_products_currency_price_id" in {node.get("Index Name") for node in nodes(found)}


def test_rare_words_come_from_their_index(plan):
    """Words that few products have are found through the index of words, and only those products are sorted."""
    found = plan(sort="-created_at", q="amber 12345")
    assert "ix_products_search" in {node.get("Index Name") for node in nodes(found)}
    assert examined(found) < 100


def test_words_in_no_product_cost_nothing(plan):
    """A word that is in no product does not make Postgres walk the table."""
    found = plan(sort="-created_at", q="nonexistent")
    assert examined(found) == 0
