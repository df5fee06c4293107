"""A snapshot of a Postgres schema as the code that uses it depends on it, read from the system catalogs."""

from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, NamedTuple

from sqlalchemy import Connection, Row, text

Rows = list[Row[Any]]

RELATIONS = """
    SELECT c.oid, c.oid::regclass::text AS name, relkind AS kind, relfilenode AS filenode,
           ARRAY(SELECT 'rewrite rule ' || rulename FROM pg_rewrite WHERE ev_class = c.oid AND rulename <> '_RETURN')
           || CASE WHEN relrowsecurity THEN ARRAY['row level security'] ELSE '{}' END AS filters
    FROM pg_class c JOIN pg_namespace n ON n.oid = relnamespace
    WHERE relkind IN ('r', 'p', 'v', 'm', 'f', 'c') AND relname <> 'alembic_version'
      AND nspname !~ '^pg_' AND nspname <> 'information_schema'"""
COLUMNS = """
    SELECT attrelid AS oid, attname AS name, attnum AS number, attnotnull AS not_null,
           format_type(atttypid, atttypmod)
           || CASE WHEN attcollation IN (0, 100) THEN '' ELSE ' COLLATE ' || attcollation::regcollation END AS type,
           atthasdef OR attidentity <> '' AS has_default
    FROM pg_attribute WHERE attrelid = ANY(:oids) AND attnum > 0 AND NOT attisdropped ORDER BY attnum"""
# Unique constraints are read as their indexes, so that turning an index into a constraint is no change.
CONSTRAINTS = """
    SELECT conrelid AS oid, conname AS name, contype::text AS kind, conkey::int[] AS numbers,
           replace(pg_get_constraintdef(oid), ' NOT VALID', '') AS definition
    FROM pg_constraint WHERE contype IN ('c', 'f', 'x') AND conrelid <> 0
    UNION ALL
    SELECT indrelid, indexrelid::regclass::text, 'u', CASE WHEN indnullsnotdistinct THEN '{}' ELSE indkey::int[] END,
           regexp_replace(pg_get_indexdef(indexrelid), 'INDEX \\S+ ON', 'INDEX ON')
    FROM pg_index WHERE indisunique"""
# Effective privileges of each role: as owner, or granted to itself, to a role that it is a member of, or to PUBLIC.
PRIVILEGES = """
    SELECT attrelid AS oid, rolname AS role, privilege, array_agg(attname::text) AS columns
    FROM pg_attribute, pg_roles r, unnest(ARRAY['SELECT', 'INSERT', 'UPDATE', 'DELETE', 'TRUNCATE']) AS privilege
    WHERE attrelid = ANY(:oids) AND attnum > 0 AND NOT attisdropped AND NOT rolsuper AND rolname !~ '^pg_'
      AND CASE WHEN privilege IN ('DELETE', 'TRUNCATE') THEN has_table_privilege(r.oid, attrelid, privilege)
               ELSE has_column_privilege(r.oid, attrelid, attnum, privilege) END
    GROUP BY 1, 2, 3"""
OTHER_PRIVILEGES = """
    WITH own AS (SELECT oid, nspname FROM pg_namespace WHERE nspname !~ '^pg_' AND nspname <> 'information_schema')
    SELECT rolname AS role, object FROM pg_roles r, LATERAL (
        SELECT 'schema ' || nspname FROM own WHERE has_schema_privilege(r.oid, oid, 'USAGE')
        UNION ALL SELECT 'sequence ' || c.oid::regclass FROM pg_class c JOIN own ON own.oid = relnamespace
        WHERE CASE relkind WHEN 'S' THEN has_sequence_privilege(r.oid, c.oid, 'USAGE') END
        UNION ALL SELECT 'function ' || p.oid::regprocedure FROM pg_proc p JOIN own ON own.oid = pronamespace
        WHERE has_function_privilege(r.oid, p.oid, 'EXECUTE')
    ) AS objects (object) WHERE NOT rolsuper AND rolname !~ '^pg_'"""
ENUM_VALUES = "SELECT enumtypid::regtype::text AS type, enumlabel AS label FROM pg_enum"


class Column(NamedTuple):
    """A column; `number` stays the same when it is renamed."""

    name: str
    number: int
    type: str
    not_null: bool
    has_default: bool


class Constraint(NamedTuple):
    """A check (c), a foreign key (f), an exclusion (x) or a unique index (u)."""

    name: str
    kind: str
    definition: str
    columns: frozenset[str]


@dataclass(frozen=True)
class Relation:
    """A table, view or row type; `oid` stays the same when it is renamed, `filenode` changes when it is rewritten.

    `privileges` maps (role, privilege) to columns; `row_filters` are rewrite rules and row level security.
    """

    oid: int
    name: str
    kind: str
    filenode: int
    columns: Mapping[str, Column]
    constraints: tuple[Constraint, ...] = ()
    privileges: Mapping[tuple[str, str], frozenset[str]] = field(default_factory=dict)
    row_filters: frozenset[str] = frozenset()


@dataclass(frozen=True)
class Snapshot:
    """The relations by name, the (type, value) pairs of enums, and the (role, object) pairs of other privileges."""

    relations: Mapping[str, Relation]
    enum_values: frozenset[tuple[str, str]] = frozenset()
    other_privileges: frozenset[tuple[str, str]] = frozenset()


def take_snapshot(connection: Connection) -> Snapshot:
    """Read the current schema."""
    relations = list(connection.execute(text(RELATIONS)))
    constraints = _by_oid(connection.execute(text(CONSTRAINTS)))
    columns, privileges = (
        _by_oid(connection.execute(text(query), {"oids": [row.oid for row in relations]}))
        for query in (COLUMNS, PRIVILEGES)
    )
    found = [_relation(row, columns[row.oid], constraints[row.oid], privileges[row.oid]) for row in relations]
    enum_values = frozenset((row.type, row.label) for row in connection.execute(text(ENUM_VALUES)))
    others = frozenset((row.role, row.object) for row in connection.execute(text(OTHER_PRIVILEGES)))
    return Snapshot({relation.name: relation for relation in found}, enum_values, others)


def _by_oid(rows: Iterable[Row[Any]]) -> dict[int, list[Row[Any]]]:
    grouped: dict[int, list[Row[Any]]] = defaultdict(list)
    for row in rows:
        grouped[row.oid].append(row)
    return grouped


def _relation(row: Row[Any], columns: Rows, constraints: Rows, privileges: Rows) -> Relation:
    found = [Column(each.name, each.number, each.type, each.not_null, each.has_default) for each in columns]
    names = {column.number: column.name for column in found}
    return Relation(
        *(row.oid, row.name, row.kind, row.filenode),
        columns={column.name: column for column in found},
        constraints=tuple(_constraint(constraint, names) for constraint in constraints),
        privileges={(each.role, each.privilege): frozenset(each.columns) for each in privileges},
        row_filters=frozenset(row.filters),
    )


def _constraint(row: Row[Any], names: Mapping[int, str]) -> Constraint:
    columns = frozenset(names[number] for number in row.numbers or () if number in names)
    return Constraint(row.name, row.kind, row.definition, columns)
