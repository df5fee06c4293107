"""The roles of production, so that a migration is tried with the rights that it will have, and can take some away."""

import re
from pathlib import Path

from sqlalchemy import create_engine, make_url, text

SCRIPT = Path(__file__).parent.parent.parent / "deploy/postgres/roles.sh"


def as_owner(url: str) -> str:
    """Set an empty database up as production's is; return how its schema's owner reaches it."""
    script = SCRIPT.read_text()
    owner = re.findall(r"^ALTER DATABASE app OWNER TO (\w+);", script, re.MULTILINE)[0]
    address = make_url(url).set(drivername="postgresql+psycopg2")
    engine = create_engine(address, isolation_level="AUTOCOMMIT")
    with engine.connect() as connection:
        there = set(connection.scalars(text("SELECT rolname FROM pg_roles")))
        for role in re.findall(r"^ALTER ROLE (app\w*) .*PASSWORD", script, re.MULTILINE):
            if role not in there:
                connection.execute(text(f"CREATE ROLE {role} LOGIN"))
        connection.execute(text(f'ALTER DATABASE "{address.database}" OWNER TO {owner}'))
        for statement in _inside(script):
            connection.execute(text(statement))
    engine.dispose()
    return address.set(username=owner).render_as_string(hide_password=False)


def _inside(script: str) -> list[str]:
    """Return the statements that the script runs in the database itself."""
    return script.partition("\\connect app\n")[2].partition("\nSQL\n")[0].splitlines()
