"""Broken releases: how each differs from a good one, and what ops prints about it."""

from dataclasses import dataclass

from alembic.script import ScriptDirectory

from tests.support.helpers import ROOT

HEAD = ScriptDirectory(str(ROOT / "migrations")).get_current_head()  # the parent of a test's own migration


@dataclass(frozen=True)
class Broken:
    """Additional lines of the Dockerfile, the step that fails, and texts of its message."""

    lines: tuple
    step: str
    messages: tuple
    options: tuple = ()


def append_to(path, text):
    """Return a Dockerfile line that appends text to a file."""
    return f"RUN cat >> {path} <<'END'\n{text.strip()}\nEND"


def respond_with(condition, status):
    """Return a Dockerfile line with which the application responds with a status to matching requests."""
    return append_to(
        "/srv/wsgi.py",
        f"""
import flask
@app.before_request
def broken():
    return ({{}}, {status}) if {condition} else None
""",
    )


def migration(revision, *statements, contract=False):
    """Return a Dockerfile line that adds a migration with these Python statements."""
    text = "\n    ".join(("def upgrade():", *statements))
    return append_to(
        f"/srv/migrations/versions/{revision}.py",
        f'"""A migration for a test."""\n'
        f"import sqlalchemy as sa\nfrom alembic import op\n"
        f'revision, down_revision, contract = "{revision}", "{HEAD}", {contract}\n{text}',
    )


ADD_NOTE = 'op.add_column("products", sa.Column("note", sa.Text()))'
LOCKED = migration("0000000010cd", ADD_NOTE)
BROKEN = {
    "does not start": Broken(('CMD ["false"]',), "ready", ("exited with code 1",)),
    "exits after a second": Broken(
        ('CMD ["sh", "-c", "sleep 1; echo out of memory; exit 3"]',),
        "ready",
        ("exited", "out of memory"),
    ),
    "does not listen": Broken(
        ('CMD ["sleep", "600"]',),
        "ready",
        ("was not ready within 4 s", "no response", "Could not connect"),
        ("--timeout", "4"),
    ),
    "is never ready": Broken(
        (respond_with("flask.request.path == '/health/ready'", 503),),
        "ready",
        ("was not ready within 8 s", "/health/ready of", "returned 503"),
        ("--timeout", "8"),
    ),
    "responds with 500": Broken(
        (respond_with("flask.request.path.startswith('/api')", 500),), "smoke", ("/api/products?limit=1 of web-", "500")
    ),
    "reports another release": Broken(("ENV RELEASE=another",), "ready", ("another release than",)),
    "has a failing migration": Broken(
        (migration("00000000fa11", 'op.execute("SELECT 1/0")'),), "migrate", ("division by zero",)
    ),
    "has a contract migration": Broken(
        (migration("0000000c0417", 'op.drop_column("products", "price")', contract=True),),
        "migrate",
        ("0000000c0417 (A migration for a test.)", "--allow-contract"),
    ),
    "has an invalid nginx configuration": Broken(
        (append_to("/srv/bundle/nginx/production.conf", "nonsense on;"),), "switch", ('unknown directive "nonsense"',)
    ),
}
