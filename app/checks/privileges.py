"""Check that the application's role can read and write rows, and can change neither the schema nor privileges."""

from collections.abc import Iterator

from .context import CheckContext
from .finding import Finding, failed, passed

PRIVILEGES = """
    SELECT EXISTS (SELECT FROM pg_roles AS other
                   WHERE pg_has_role(pg_roles.oid, other.oid, 'MEMBER')
                   AND (other.rolsuper OR other.rolcreaterole OR other.rolcreatedb OR other.rolreplication
                        OR other.rolbypassrls OR other.rolname IN ('pg_execute_server_program',
                        'pg_write_server_files', 'pg_read_server_files', 'pg_read_all_data', 'pg_write_all_data'))),
           has_schema_privilege(oid, 'public', 'CREATE') OR has_database_privilege(oid, current_database(), 'CREATE'),
           EXISTS (SELECT FROM pg_class
                   WHERE relnamespace = 'public'::regnamespace AND pg_has_role(pg_roles.oid, relowner, 'MEMBER'))
    FROM pg_roles WHERE rolname = %s"""
EXCESSIVE = (
    "has administrative attributes, directly or by membership",
    "may create objects",
    "owns tables, directly or by membership",
)
REMEDY = "Reset the privileges: docker compose exec db bash /opt/postgres/roles.sh; then REVOKE any additional ones."


def check(context: CheckContext) -> Iterator[Finding]:
    """Check the role of the application."""
    name = context.settings.SQLALCHEMY_DATABASE_URI.username
    rows = context.query(context.settings.MIGRATION_DATABASE_URL, PRIVILEGES, name)
    problems = (
        [text for text, applies in zip(EXCESSIVE, rows[0], strict=True) if applies] if rows else ["does not exist"]
    )
    if problems:
        yield failed(f"the application's role, {name}, {', '.join(problems)}.", REMEDY)
    else:
        yield passed(f"the application's role, {name}, cannot change the schema.")
