"""A dump is complete: restored into an empty server, it equals the original."""

import pytest

from tests.support.stack.writer import Writer

pytestmark = [pytest.mark.timeout(240), pytest.mark.smoke]
TABLES = "SELECT tablename FROM pg_tables WHERE schemaname = 'public' ORDER BY 1"
SCHEMA = {
    "columns": "SELECT table_name, column_name, data_type, column_default, is_nullable FROM information_schema.columns"
    " WHERE table_schema = 'public' ORDER BY 1, 2",
    "constraints": "SELECT conrelid::regclass::text, conname, pg_get_constraintdef(oid) FROM pg_constraint"
    " WHERE connamespace = 'public'::regnamespace ORDER BY 1, 2",
    "indexes": "SELECT indexdef FROM pg_indexes WHERE schemaname = 'public' ORDER BY 1",
    "sequences": "SELECT schemaname, sequencename, last_value FROM pg_sequences ORDER BY 1, 2",
    "privileges": "SELECT relname, relowner::regrole, relacl::text FROM pg_class"
    " WHERE relnamespace = 'public'::regnamespace AND relkind <> 'i' ORDER BY 1",
    "roles": "SELECT rolname, rolsuper, rolcanlogin, rolreplication, rolconnlimit, rolconfig FROM pg_roles ORDER BY 1",
    "memberships": "SELECT roleid::regrole::text, member::regrole::text FROM pg_auth_members ORDER BY 1, 2",
    "extensions": "SELECT extname, extversion FROM pg_extension ORDER BY 1",
}


def rows(server, table):
    """Return the number and a checksum of a table's rows."""
    return server.sql(f"SELECT count(*), md5(string_agg(t::text, chr(10) ORDER BY t::text)) FROM {table} AS t")


@pytest.fixture(scope="module")
def compared(data):
    """Dump and restore; return the tables and the schema before and after."""
    writer = Writer(data, data.token())
    assert [writer.write() for _ in range(50)].count(None) == 0
    data.sql("CREATE ROLE reporter LOGIN PASSWORD 'a' IN ROLE pg_monitor; GRANT SELECT ON products TO reporter")
    seen = []
    for _ in range(2):
        tables = {table: rows(data, table) for table in data.sql(TABLES)}
        seen.append((tables, {name: data.sql(query) for name, query in SCHEMA.items()}))
        if len(seen) == 1:
            data.ops("backup")
            name = next(each["name"] for each in reversed(data.backups()) if each["kind"] == "dump")
            data.ops("restore", "--yes", "--backup", name)
    return seen


@pytest.mark.guarantee("A dump restored into an empty server is identical, table by table")
def test_rows(compared):
    """Each table has the same rows."""
    (before, _), (after, _) = compared
    assert before == after
    assert int(before["products"][0].split("|")[0]) >= 50


@pytest.mark.guarantee("A dump restored into an empty server is identical, table by table")
@pytest.mark.parametrize("name", SCHEMA)
def test_schema(compared, name):
    """Columns, constraints, indexes, sequences, privileges, roles and extensions are the same."""
    (_, before), (_, after) = compared
    assert before[name] == after[name]
    assert before[name]
