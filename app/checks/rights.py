"""The application reads and writes rows, and can change neither the schema nor what others may do."""

from collections.abc import Iterator

from .finding import Finding, failed, passed
from .production import Production

RIGHTS = """
    SELECT EXISTS (SELECT FROM pg_roles AS other
                   WHERE pg_has_role(pg_roles.oid, other.oid, 'MEMBER')
                   AND (other.rolsuper OR other.rolcreaterole OR other.rolcreatedb OR other.rolreplication
                        OR other.rolbypassrls OR other.rolname IN ('pg_execute_server_program',
                        'pg_write_server_files', 'pg_read_server_files', 'pg_read_all_data', 'pg_write_all_data'))),
           has_schema_privilege(oid, 'public', 'CREATE') OR has_database_privilege(oid, current_database(), 'CREATE'),
           EXISTS (SELECT FROM pg_class
                   WHERE relnamespace = 'public'::regnamespace AND pg_has_role(pg_roles.oid, relowner, 'MEMBER'))
    FROM pg_roles WHERE rolname = %s"""
TOO_MUCH = (
    "is more than an ordinary role, or may become one that is",
    "may create what no migration did",
    "owns tables, or may become who does",
)
REMEDY = "Today's rights: docker compose exec db bash /opt/postgres/roles.sh; then REVOKE what was granted besides."


def check(production: Production) -> Iterator[Finding]:
    """Look at the role that the application comes as."""
    name = production.settings.SQLALCHEMY_DATABASE_URI.username
    found = production.ask(production.settings.MIGRATION_DATABASE_URL, RIGHTS, name)
    wrong = [text for text, so in zip(TOO_MUCH, found[0], strict=True) if so] if found else ["does not exist"]
    if wrong:
        yield failed(f"the application's role, {name}, {', '.join(wrong)}.", REMEDY)
    else:
        yield passed(f"the application's role, {name}, cannot change the schema.")
