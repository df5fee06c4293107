"""What a Postgres schema looks like to the code that uses it, read from the catalogue."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, NamedTuple

from sqlalchemy import Connection, Row, text

RELATIONS = """
    SELECT c.oid, c.oid::regclass::text AS name, relkind AS kind, relfilenode AS file,
           ARRAY(SELECT 'rewrite rule ' || rulename FROM pg_rewrite WHERE ev_class = c.oid AND rulename <> '_RETURN')
           || CASE WHEN relrowsecurity THEN ARRAY['row level security'] ELSE '{}' END AS filters
    FROM pg_class c JOIN pg_namespace n ON n.oid = relnamespace
    WHERE relkind IN ('r', 'p', 'v', 'm', 'f', 'c') AND relname <> 'alembic_version'
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
# What a role may do in the end: as owner, by a grant to itself, to a role that it belongs to, or to PUBLIC.
RIGHTS = """
    SELECT attrelid AS oid, rolname AS role, privilege, array_agg(attname::text) AS columns
    FROM pg_attribute, pg_roles r, unnest(ARRAY['SELECT', 'INSERT', 'UPDATE', 'DELETE', 'TRUNCATE']) AS privilege
    WHERE attrelid = ANY(:oids) AND attnum > 0 AND NOT attisdropped AND NOT rolsuper AND rolname !~ '^pg_'
      AND CASE WHEN privilege IN ('DELETE', 'TRUNCATE') THEN has_table_privilege(r.oid, attrelid, privilege)
               ELSE has_column_privilege(r.oid, attrelid, attnum, privilege) END
    GROUP BY 1, 2, 3"""
USES = """
    WITH own AS (SELECT oid, nspname FROM pg_namespace WHERE nspname !~ '^pg_' AND nspname <> 'information_schema')
    SELECT rolname AS role, thing FROM pg_roles r, LATERAL (
        SELECT 'schema ' || nspname FROM own WHERE has_schema_privilege(r.oid, oid, 'USAGE')
        UNION ALL SELECT 'sequence ' || c.oid::regclass FROM pg_class c JOIN own ON own.oid = relnamespace
        WHERE CASE relkind WHEN 'S' THEN has_sequence_privilege(r.oid, c.oid, 'USAGE') END
        UNION ALL SELECT 'function ' || p.oid::regprocedure FROM pg_proc p JOIN own ON own.oid = pronamespace
        WHERE has_function_privilege(r.oid, p.oid, 'EXECUTE')
    ) AS things (thing) WHERE NOT rolsuper AND rolname !~ '^pg_'"""
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
    """A table, a view or a row type; `oid` stays when it is renamed, `file` changes when it is written anew.

    `rights` are the columns by (role, privilege), `filters` is what comes between a statement and the rows.
    """

    oid: int
    name: str
    kind: str
    file: int
    columns: Mapping[str, Column]
    rules: tuple[Rule, ...] = ()
    rights: Mapping[tuple[str, str], frozenset[str]] = field(default_factory=dict)
    filters: frozenset[str] = frozenset()


@dataclass(frozen=True)
class Catalogue:
    """A schema at one moment: relations by name, (type, value) of enum types, (role, thing) of what else is used."""

    relations: Mapping[str, Relation]
    labels: frozenset[tuple[str, str]] = frozenset()
    uses: frozenset[tuple[str, str]] = frozenset()


def read(connection: Connection) -> Catalogue:
    """Read the schema as it is now."""
    rows, rules = list(connection.execute(text(RELATIONS))), list(connection.execute(text(RULES)))
    rights = list(connection.execute(text(RIGHTS), {"oids": [row.oid for row in rows]}))
    relations = [_relation(connection, row, rules, rights) for row in rows]
    labels = frozenset((row.type, row.label) for row in connection.execute(text(LABELS)))
    uses = frozenset((row.role, row.thing) for row in connection.execute(text(USES)))
    return Catalogue({relation.name: relation for relation in relations}, labels, uses)


def _relation(connection: Connection, row: Row[Any], rules: list[Row[Any]], rights: list[Row[Any]]) -> Relation:
    found = connection.execute(text(COLUMNS), {"oid": row.oid})
    columns = [Column(each.name, each.number, each.type, each.required, each.filled) for each in found]
    names = {column.number: column.name for column in columns}
    return Relation(
        *(row.oid, row.name, row.kind, row.file),
        columns={column.name: column for column in columns},
        rules=tuple(_rule(rule, names) for rule in rules if rule.oid == row.oid),
        rights={(right.role, right.privilege): frozenset(right.columns) for right in rights if right.oid == row.oid},
        filters=frozenset(row.filters),
    )


def _rule(row: Row[Any], names: Mapping[int, str]) -> Rule:
    columns = frozenset(names[number] for number in row.numbers or () if number in names)
    return Rule(row.name, row.kind, row.definition, columns)
