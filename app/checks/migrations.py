"""The schema is the one that this release needs, or will be when its migrations have run."""

from collections.abc import Iterator

from app.db.schema_state import SchemaBehindError, SchemaIncompatibleError

from .finding import Finding, failed, passed
from .production import Production


def check(production: Production) -> Iterator[Finding]:
    """Compare the schema with this release's migrations."""
    try:
        state = production.schema()
    except SchemaBehindError as error:
        yield _pending(len(error.missing), expected=production.before_migrating)
    except SchemaIncompatibleError as error:
        yield failed(f"{error}.", "See docs/release-path.md, A migration stops.")
    else:
        known = "every migration of this release was applied"
        yield passed(f"{known}." if state == "current" else f"{known}, and some of a newer one that leave it working.")


def _pending(number: int, *, expected: bool) -> Finding:
    if expected:
        return passed(f"{number} migrations are pending; they are applied next.")
    return failed(f"{number} migrations are pending, so this release is not ready.", "Deploy it, or: flask db upgrade")
