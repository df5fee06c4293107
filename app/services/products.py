"""The catalogue: pages of products, single products, and changes to them."""

import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from sqlalchemy import ColumnElement, Row, Select, Text, and_, bindparam, func, literal_column, select, tuple_
from sqlalchemy.exc import IntegrityError

from app.db.session import read, transaction
from app.extensions import db
from app.models import Product
from app.models.product import SEARCH_VECTOR

MAX_SORTED_HITS = 10_000  # of a text search; more are read in the list's order instead
# Rows, not entities: for a list, ORM objects cost more than the query.
COLUMNS: tuple[Any, ...] = (
    Product.id,
    Product.sku,
    Product.name,
    Product.description,
    Product.price,
    Product.currency,
    Product.version,
    Product.created_at,
    Product.updated_at,
)
BY_ID = select(*COLUMNS).where(Product.id == bindparam("id"))


class ProductNotFoundError(Exception):
    """No product has this id."""


class SkuTakenError(Exception):
    """Another product has this SKU."""


@dataclass(frozen=True)
class Page:
    """Products in order."""

    rows: list[Row[Any]]
    has_next: bool

    def position(self, sort: str) -> tuple[Any, int]:
        """Return the sort value and the id of the last row, after which the next page starts."""
        last = self.rows[-1]
        return getattr(last, sort.removeprefix("-")), last.id


def list_page(*, limit: int, sort: str, after: tuple[Any, int] | None = None, **filters: Any) -> Page:
    """Return the page of the products that match FILTERS and follow the position AFTER."""
    statement, columns = _filter(**filters)
    rows = read(_order(statement, columns, sort, after).limit(limit + 1))
    return Page(rows[:limit], has_next=len(rows) > limit)


def get(product_id: int) -> Row[Any]:
    """Return one product; raise ProductNotFoundError."""
    rows = read(BY_ID, {"id": product_id})
    if not rows:
        raise ProductNotFoundError(product_id)
    return rows[0]


def create(values: Mapping[str, Any]) -> Product:
    """Create a product; raise SkuTakenError."""
    product = Product(**values)
    with _unique_sku(), transaction() as session:
        session.add(product)
        session.flush()
    return product


@contextmanager
def locked(product_id: int) -> Iterator[Product]:
    """Lock a product's row (SELECT FOR UPDATE) during the block; commit at its end.

    Raises ProductNotFoundError on entry and SkuTakenError on exit.
    """
    with _unique_sku(), transaction() as session:
        product = session.get(Product, product_id, with_for_update=True, populate_existing=True)
        if product is None:
            raise ProductNotFoundError(product_id)
        yield product
        session.flush()


def update(product: Product, values: Mapping[str, Any]) -> None:
    """Set the given attributes."""
    for name, value in values.items():
        setattr(product, name, value)


def delete(product: Product) -> None:
    """Delete a locked product."""
    db.session.delete(product)


@contextmanager
def _unique_sku() -> Iterator[None]:
    try:
        yield
    except IntegrityError as error:
        if re.search(r"uq_products_sku|products\.sku", str(error.orig)):
            raise SkuTakenError from error
        raise


def _order(statement: Select[Any], columns: Any, sort: str, after: tuple[Any, int] | None) -> Select[Any]:
    key = (getattr(columns, sort.removeprefix("-")), columns.id)
    descending = sort.startswith("-")
    if after is not None:
        position = tuple_(*after, types=[column.type for column in key])
        statement = statement.where(tuple_(*key) < position if descending else tuple_(*key) > position)
    return statement.order_by(*(column.desc() if descending else column for column in key))


def _filter(
    *,
    q: str | None = None,
    price_min: int | None = None,
    price_max: int | None = None,
    currency: str | None = None,
) -> tuple[Select[Any], Any]:
    """Return the statement, and the columns to order by: the table's, or those of a CTE of the few text search hits."""
    statement: Select[Any] = select(*COLUMNS)
    if price_min is not None:
        statement = statement.where(Product.price >= price_min)
    if price_max is not None:
        statement = statement.where(Product.price <= price_max)
    if currency is not None:
        statement = statement.where(Product.currency == currency)
    if q is None:
        return statement, Product
    matches = _match_words(q)
    statement = statement.where(matches)
    if _is_common(matches):
        return statement, Product
    hits = statement.cte("hits").prefix_with("MATERIALIZED")
    return select(hits), hits.c


def _match_words(q: str) -> ColumnElement[bool]:
    """Return the condition that each word of Q is a prefix of a word in the name or description, ignoring case."""
    words = re.findall(r"[^\W_]+", q)
    if db.engine.dialect.name == "postgresql":
        query = " & ".join(f"'{word}':*" for word in words)
        return literal_column(SEARCH_VECTOR).bool_op("@@")(func.to_tsquery(literal_column("'simple'"), query))
    text = func.search_text(
        literal_column("' '") + Product.name + literal_column("' '") + Product.description, type_=Text
    )
    return and_(*(text.contains(f" {word.casefold()}", autoescape=True) for word in words))


def _is_common(matches: ColumnElement[bool]) -> bool:
    """Count hits up to a limit, because Postgres estimates that every prefix matches one row in 200.

    For a word without hits it would scan the whole table in the list's order: 20 s for a million rows. Rare hits come
    from the text index and are sorted; common ones appear early in a scan in the list's order.
    """
    hits = select(literal_column("1")).select_from(Product).where(matches).limit(MAX_SORTED_HITS + 1).subquery()
    return bool(read(select(func.count()).select_from(hits))[0][0] > MAX_SORTED_HITS)
