"""What a Postgres schema looks like to the code that uses it, read from the catalogue."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, NamedTuple

from sqlalchemy import Connection, Row, text

RELATIONS = """
    SELECT c.oid, c.oid::regclass::text AS name, relkind AS kind, relfilenode AS file
    FROM pg_class c JOIN pg_namespace n ON n.oid = relnamespace
    WHERE relkind IN ('r', 'p', 'v', 'm', 'f') AND relname <> 'alembic_version'
      AND nspname !~ '^pg_' AND nspname <> 'information_schema'"""
COLUMNS = """
    SELECT attname AS name, attnum AS number, attnotnull AS required,
           format_type(atttypid, atttypmod)
           || CASE WHEN attcollation IN (0, 100) THEN '' ELSE ' COLLATE ' || attcollation::regcollation END AS type,
           atthasdef OR attidentity <> '' AS filled
    FROM pg_attribute WHERE attrelid = :oid AND attnum > 0 AND NOT attisdropped ORDER BY attnum"""
# Unique constraints are read as their indexes, so that an index that becomes a constraint changes nothing.
RULES = """
    SELECT conrelid AS oid, conname AS name, contype::text AS kind, conkey::int[] AS numbers,
           replace(pg_get_constraintdef(oid), ' NOT VALID', '') AS definition
    FROM pg_constraint WHERE contype IN ('c', 'f', 'x') AND conrelid <> 0
    UNION ALL
    SELECT indrelid, indexrelid::regclass::text, 'u', CASE WHEN indnullsnotdistinct THEN '{}' ELSE indkey::int[] END,
           regexp_replace(pg_get_indexdef(indexrelid), 'INDEX \\S+ ON', 'INDEX ON')
    FROM pg_index WHERE indisunique"""
LABELS = "SELECT enumtypid::regtype::text AS type, enumlabel AS label FROM pg_enum"


class Column(NamedTuple):
    """A column: its place, its type, whether it is NOT NULL, and whether Postgres fills it when nobody does."""

    name: str
    number: int
    type: str
    required: bool
    filled: bool


class Rule(NamedTuple):
    """What Postgres holds every row to: a check (c), a foreign key (f), an exclusion (x) or uniqueness (u)."""

    name: str
    kind: str
    definition: str
    columns: frozenset[str]


@dataclass(frozen=True)
class Relation:
    """A table or a view; `oid` stays when it is renamed, `file` changes when it is written anew."""

    oid: int
    name: str
    kind: str
    file: int
    columns: Mapping[str, Column]
    rules: tuple[Rule, ...] = ()


@dataclass(frozen=True)
class Catalogue:
    """A schema at one moment: relations by name, and the values of enum types as (type, value)."""

    relations: Mapping[str, Relation]
    labels: frozenset[tuple[str, str]] = frozenset()


def read(connection: Connection) -> Catalogue:
    """Read the schema as it is now."""
    rules = list(connection.execute(text(RULES)))
    relations = [_relation(connection, row, rules) for row in connection.execute(text(RELATIONS))]
    labels = frozenset((row.type, row.label) for row in connection.execute(text(LABELS)))
    return Catalogue({relation.name: relation for relation in relations}, labels)


def _relation(connection: Connection, row: Row[Any], rules: list[Row[Any]]) -> Relation:
    found = connection.execute(text(COLUMNS), {"oid": row.oid})
    columns = [Column(each.name, each.number, each.type, each.required, each.filled) for each in found]
    names = {column.number: column.name for column in columns}
    own = tuple(_rule(rule, names) for rule in rules if rule.oid == row.oid)
    return Relation(row.oid, row.name, row.kind, row.file, {column.name: column for column in columns}, own)


def _rule(row: Row[Any], names: Mapping[int, str]) -> Rule:
    columns = frozenset(names[number] for number in row.numbers or () if number in names)
    return Rule(row.name, row.kind, row.definition, columns)
