"""Releases that must not reach users: how each is made of a good one, and what ops is to say of it."""

from dataclasses import dataclass

from alembic.script import ScriptDirectory

from tests.support.helpers import ROOT

HEAD = ScriptDirectory(str(ROOT / "migrations")).get_current_head()  # behind which a test's own migration comes


@dataclass(frozen=True)
class Broken:
    """Lines of a Dockerfile on top of a good release, the step at which it is to stop, and words that say why."""

    lines: tuple
    step: str
    says: tuple
    options: tuple = ()


def appended(path, text):
    """Return the line that adds text to a file."""
    return f"RUN cat >> {path} <<'END'\n{text.strip()}\nEND"


def answers(condition, status):
    """Return the line that lets the application answer requests that meet a condition with nothing but a status."""
    return appended(
        "/srv/wsgi.py",
        f"""
import flask
@app.before_request
def broken():
    return ({{}}, {status}) if {condition} else None
""",
    )


def migration(revision, *statements, contract=False):
    """Return the line that adds a migration, of these lines of Python, after the last one that there is."""
    text = "\n    ".join(("def upgrade():", *statements))
    return appended(
        f"/srv/migrations/versions/{revision}.py",
        f'"""A migration for a test."""\n'
        f"import sqlalchemy as sa\nfrom alembic import op\n"
        f'revision, down_revision, contract = "{revision}", "{HEAD}", {contract}\n{text}',
    )


ADD_NOTE = 'op.add_column("products", sa.Column("note", sa.Text()))'
LOCKED = migration("0000000010cd", ADD_NOTE)
BROKEN = {
    "does not start": Broken(('CMD ["false"]',), "ready", ("exited with code 1",)),
    "ends after a second": Broken(
        ('CMD ["sh", "-c", "sleep 1; echo has no more strength; exit 3"]',),
        "ready",
        ("exited", "has no more strength"),
    ),
    "listens nowhere": Broken(
        ('CMD ["sleep", "600"]',),
        "ready",
        ("was not ready within 4 s", "no response", "Could not connect"),
        ("--timeout", "4"),
    ),
    "is never ready": Broken(
        (answers("flask.request.path == '/health/ready'", 503),),
        "ready",
        ("was not ready within 8 s", "/health/ready of", "returned 503"),
        ("--timeout", "8"),
    ),
    "answers 500": Broken(
        (answers("flask.request.path.startswith('/api')", 500),), "smoke", ("/api/products?limit=1 of web-", "500")
    ),
    "says that it is another release": Broken(("ENV RELEASE=somebody-else",), "ready", ("another release than",)),
    "has a migration that fails": Broken(
        (migration("00000000fa11", 'op.execute("SELECT 1/0")'),), "migrate", ("division by zero",)
    ),
    "takes something away": Broken(
        (migration("0000000c0417", 'op.drop_column("products", "price")', contract=True),),
        "migrate",
        ("0000000c0417 (A migration for a test.)", "--allow-contract"),
    ),
    "has a configuration that nginx refuses": Broken(
        (appended("/srv/bundle/nginx/production.conf", "nonsense on;"),), "switch", ('unknown directive "nonsense"',)
    ),
}
