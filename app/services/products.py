"""The catalogue: pages of it, single products, and changes to them."""

import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from sqlalchemy import ColumnElement, Row, Select, Text, and_, bindparam, func, literal_column, select, tuple_
from sqlalchemy.exc import IntegrityError

from app.db.session import db, read, transaction
from app.http import pagination
from app.models import Product
from app.models.product import SEARCH_VECTOR

COMMON = 10_000  # hits; more than so many are not sorted but met in order
# Rows, not entities: on a hot list the ORM's objects cost more than the query.
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


class ProductMissingError(Exception):
    """There is no product with this id."""


class SkuTakenError(Exception):
    """Another product has this SKU."""


@dataclass(frozen=True)
class Page:
    """Some products in order, and the cursor of the page behind them, None on the last."""

    rows: list[Row[Any]]
    next_cursor: str | None


def page(*, limit: int, sort: str, cursor: str | None = None, **filters: Any) -> Page:
    """Return one page of the products that match FILTERS; raise CursorError for a cursor of another list."""
    statement, columns = _filtered(**filters)
    rows = read(_in_order(statement, columns, sort, cursor).limit(limit + 1))
    if len(rows) <= limit:
        return Page(rows, None)
    last = rows[limit - 1]
    return Page(rows[:limit], pagination.encode(sort, getattr(last, sort.removeprefix("-")), last.id))


def get(product_id: int) -> Row[Any]:
    """Return one product; raise ProductMissingError."""
    rows = read(BY_ID, {"id": product_id})
    if not rows:
        raise ProductMissingError(product_id)
    return rows[0]


def create(values: Mapping[str, Any]) -> Product:
    """Add a product; raise SkuTakenError."""
    product = Product(**values)
    with _sku_checked(), transaction() as session:
        session.add(product)
        session.flush()
    return product


@contextmanager
def changing(product_id: int) -> Iterator[Product]:
    """Hold one product alone while the block looks at it and changes it; commit at the end.

    Raises ProductMissingError, and SkuTakenError at the end.
    """
    with _sku_checked(), transaction() as session:
        product = session.get(Product, product_id, with_for_update=True, populate_existing=True)
        if product is None:
            raise ProductMissingError(product_id)
        yield product
        session.flush()


def change(product: Product, values: Mapping[str, Any]) -> None:
    """Set the given attributes."""
    for name, value in values.items():
        setattr(product, name, value)


def delete(product: Product) -> None:
    """Remove a product that `changing` holds."""
    db.session.delete(product)


@contextmanager
def _sku_checked() -> Iterator[None]:
    try:
        yield
    except IntegrityError as error:
        if re.search(r"uq_products_sku|products\.sku", str(error.orig)):
            raise SkuTakenError from error
        raise


def _in_order(statement: Select[Any], columns: Any, sort: str, cursor: str | None) -> Select[Any]:
    key = (getattr(columns, sort.removeprefix("-")), columns.id)
    backwards = sort.startswith("-")
    if cursor is not None:
        place = tuple_(*pagination.decode(cursor, sort), types=[column.type for column in key])
        statement = statement.where(tuple_(*key) < place if backwards else tuple_(*key) > place)
    return statement.order_by(*(column.desc() if backwards else column for column in key))


def _filtered(
    *,
    q: str | None = None,
    price_min: int | None = None,
    price_max: int | None = None,
    currency: str | None = None,
) -> tuple[Select[Any], Any]:
    """Return the matching rows, and what to order them by: the table, or the few rows that the words leave."""
    statement: Select[Any] = select(*COLUMNS)
    if price_min is not None:
        statement = statement.where(Product.price >= price_min)
    if price_max is not None:
        statement = statement.where(Product.price <= price_max)
    if currency is not None:
        statement = statement.where(Product.currency == currency)
    if q is None:
        return statement, Product
    words = _words(q)
    statement = statement.where(words)
    if _are_common(words):
        return statement, Product
    hits = statement.cte("hits").prefix_with("MATERIALIZED")
    return select(hits), hits.c


def _words(q: str) -> ColumnElement[bool]:
    """Return the condition that each word of Q begins a word in the name or the description, whatever its case."""
    words = re.findall(r"[^\W_]+", q)
    if db.engine.dialect.name == "postgresql":
        query = " & ".join(f"'{word}':*" for word in words)
        return literal_column(SEARCH_VECTOR).bool_op("@@")(func.to_tsquery(literal_column("'simple'"), query))
    text = func.search_text(
        literal_column("' '") + Product.name + literal_column("' '") + Product.description, type_=Text
    )
    return and_(*(text.contains(f" {word.casefold()}", autoescape=True) for word in words))


def _are_common(words: ColumnElement[bool]) -> bool:
    """Count a few hits, because Postgres guesses: it takes every prefix to match one row in 200.

    For a word in no row it would walk the whole table in the list's order, 20 s for a million rows. Rare
    hits are fetched from their index and then ordered; common ones are soon met along the way.
    """
    hits = select(literal_column("1")).select_from(Product).where(words).limit(COMMON + 1).subquery()
    return bool(read(select(func.count()).select_from(hits))[0][0] > COMMON)
