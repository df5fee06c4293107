"""Sample products, generated from a number: the same number always gives the same product."""

import re
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from typing import Any, cast

from flask import Flask, current_app
from sqlalchemy import Table, create_engine, insert, select, text
from sqlalchemy.pool import NullPool

from app.db.session import read, transaction
from app.extensions import db
from app.models import Product

PREFIX = "SAMPLE-"
TABLE = cast("Table", Product.__table__)  # the Core table: the ORM's bulk insert costs twice as much
NUMBER = re.compile(r"[0-9]{8}")
BATCH = 2_000  # well within DB_TIMEOUT
EPOCH = datetime(2026, 1, 1, tzinfo=UTC)

COLOURS = ("Amber", "Blue", "Coral", "Dark", "Emerald", "Frosted", "Golden", "Hazel", "Ivory", "Jade", "Lilac")
MATERIALS = (
    "ash",
    "brass",
    "clay",
    "cotton",
    "glass",
    "leather",
    "linen",
    "marble",
    "oak",
    "paper",
    "steel",
    "wool",
    "zinc",
)
THINGS = (
    "basket", "bench", "bottle", "bowl", "chair", "clock", "cup", "desk", "frame", "jug", "kettle", "lamp", "mirror",
    "mug", "plate", "rug", "shelf", "stool", "table", "tray", "vase", "watch",
)  # fmt: skip
CURRENCIES = ("EUR", "USD", "GBP", "CHF", "JPY")


def sample(number: int) -> dict[str, Any]:
    """Return the columns of sample product NUMBER."""
    mixed = number * 2_654_435_761 % 2**32  # Knuth's multiplicative hash: varied, not random
    material, thing = MATERIALS[mixed // 11 % 13], THINGS[mixed // 143 % 22]
    created_at = EPOCH + timedelta(seconds=number)
    return {
        "sku": f"{PREFIX}{number:08d}",
        "name": f"{COLOURS[mixed % 11]} {material} {thing} {number}",
        "description": f"A {thing} of {material}, made by hand.",
        "price": 100 + mixed % 99_900,
        "currency": CURRENCIES[mixed // 3146 % 5],
        "created_at": created_at,
        "updated_at": created_at,
    }


def highest_number() -> int:
    """Return the highest number among the stored sample products, 0 without one."""
    newest = select(Product.sku).where(Product.sku.startswith(PREFIX)).order_by(Product.sku.desc()).limit(1000)
    numbers = (row.sku.removeprefix(PREFIX) for row in read(newest))  # other products may share the prefix
    return next((int(number) for number in numbers if NUMBER.fullmatch(number)), 0)


def insert_all(numbers: range) -> Iterator[int]:
    """Insert the samples with these numbers, one transaction per batch, and yield each batch's size.

    Postgres gets two batches at a time: one is generated while the other is written.
    """
    app = current_app._get_current_object()  # type: ignore[attr-defined]  # noqa: SLF001 - threads need the app itself
    batches = [numbers[start : start + BATCH] for start in range(0, len(numbers), BATCH)]
    with ThreadPoolExecutor(1 if db.engine.dialect.name == "sqlite" else 2) as pool:
        yield from pool.map(lambda batch: _insert(app, batch), batches)


def _insert(app: Flask, batch: range) -> int:
    with app.app_context(), transaction() as session:
        session.connection().execute(insert(TABLE), [sample(number) for number in batch])
    return len(batch)


def analyze() -> None:
    """Update the table's statistics, which autovacuum would do a minute later.

    Connects as the owner: a request's statement_timeout is too short.
    """
    engine = create_engine(current_app.config["MIGRATION_DATABASE_URL"], poolclass=NullPool)
    with engine.begin() as connection:
        connection.execute(text("ANALYZE products"))
