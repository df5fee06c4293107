"""Page 10,000 costs as much as page 1: each starts at its cursor in an index. On Postgres."""

import json

import pytest
from sqlalchemy import event, text

from app import create_app
from app.extensions import db
from app.services import products
from tests.integration.conftest import dispose

ROWS = 20_000
LIMIT = 20
NEEDED = LIMIT + 1  # one more row than a page, to detect the next page
SORTS = ["name", "-name", "price", "-price", "created_at", "-created_at"]


@pytest.fixture(scope="module")
def app(postgres_url):
    """An application on a large database."""
    app = create_app("testing", {"TEST_DATABASE_URL": postgres_url})
    result = app.test_cli_runner().invoke(args=["seed", "--products", str(ROWS)])
    assert result.exit_code == 0, result.output
    with app.app_context(), db.engine.begin() as connection:
        connection.execute(text("ANALYZE products"))
    yield app
    dispose(app)


@pytest.fixture
def plan(app):
    """Return a function that explains the statement of a page, executed."""

    def explain(**query):
        with app.app_context():
            sent = statements(lambda: products.list_page(limit=LIMIT, **query))
            with db.engine.connect() as connection:
                statement, values = sent[-1]
                result = connection.exec_driver_sql(f"EXPLAIN (ANALYZE, BUFFERS, FORMAT JSON) {statement}", values)
                found = result.scalar()
        return (json.loads(found) if isinstance(found, str) else found)[0]["Plan"]

    return explain


def statements(act):
    """Return the statements that ACT sends, with their values."""
    sent = []

    def record(_connection, _cursor, statement, values, *_):
        sent.append((statement, values))

    event.listen(db.engine, "before_cursor_execute", record)
    try:
        act()
    finally:
        event.remove(db.engine, "before_cursor_execute", record)
    return sent


def middle(app, sort):
    """Return the position of the row in the middle of the list."""
    column = sort.removeprefix("-")
    with app.app_context(), db.engine.connect() as connection:
        query = f"SELECT {column}, id FROM products ORDER BY {column}, id OFFSET {ROWS // 2} LIMIT 1"
        return tuple(connection.execute(text(query)).one())


def nodes(plan):
    """Yield a plan and its subplans."""
    yield plan
    for part in plan.get("Plans", []):
        yield from nodes(part)


def examined(plan):
    """Count the rows read from the table or an index, including those filtered out."""
    leaves = [node for node in nodes(plan) if not node.get("Plans")]
    return sum(node["Actual Rows"] + node.get("Rows Removed by Filter", 0) for node in leaves)


@pytest.mark.guarantee("Pages in the middle of a list read as few rows as the first")
@pytest.mark.parametrize("sort", SORTS)
def test_constant_cost(app, plan, sort):
    """In each order the first page and one in the middle read only their own rows, from that order's index."""
    for found in (plan(sort=sort), plan(sort=sort, after=middle(app, sort))):
        scans = [node for node in nodes(found) if node["Node Type"].endswith("Scan")]
        assert [node.get("Index Name") for node in scans] == [f"ix_products_{sort.removeprefix('-')}_id"]
        assert examined(found) <= NEEDED
        assert found["Shared Hit Blocks"] + found["Shared Read Blocks"] < 100
        assert "Sort" not in {node["Node Type"] for node in nodes(found)}


def test_currency_by_price(app, plan):
    """A list of one currency by price reads its own index, at any depth."""
    for after in (None, middle(app, "price")):
        found = plan(sort="price", currency="JPY", after=after)
        assert examined(found) <= NEEDED
        assert "ix_products_currency_price_id" in {node.get("Index Name") for node in nodes(found)}


def test_rare_words(plan):
    """Rare words use the text index, and only their products are sorted."""
    found = plan(sort="-created_at", q="amber 12345")
    assert "ix_products_search" in {node.get("Index Name") for node in nodes(found)}
    assert examined(found) < 100


def test_word_without_hits(plan):
    """A word without hits does not scan the table."""
    found = plan(sort="-created_at", q="nonexistent")
    assert examined(found) == 0
