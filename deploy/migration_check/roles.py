"""Create the roles of production, so that migrations run with the privileges that they have there."""

import re
from pathlib import Path

from sqlalchemy import create_engine, make_url, text


def create_roles(url: str, script: Path) -> str:
    """Apply the bundle's roles.sh to an empty database; return the URL for the schema owner."""
    source = script.read_text()
    owner = re.findall(r"^ALTER DATABASE app OWNER TO (\w+);", source, re.MULTILINE)[0]
    address = make_url(url).set(drivername="postgresql+psycopg2")
    engine = create_engine(address, isolation_level="AUTOCOMMIT")
    with engine.connect() as connection:
        existing = set(connection.scalars(text("SELECT rolname FROM pg_roles")))
        for role in re.findall(r"^ALTER ROLE (app\w*) .*PASSWORD", source, re.MULTILINE):
            if role not in existing:
                connection.execute(text(f"CREATE ROLE {role} LOGIN"))
        connection.execute(text(f'ALTER DATABASE "{address.database}" OWNER TO {owner}'))
        for statement in _database_statements(source):
            connection.execute(text(statement))
    engine.dispose()
    return address.set(username=owner).render_as_string(hide_password=False)


def _database_statements(source: str) -> list[str]:
    """Return the statements that the script runs in the application's database."""
    return source.partition("\\connect app\n")[2].partition("\nSQL\n")[0].splitlines()
