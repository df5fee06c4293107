"""Check that the schema fits this release, or will after its migrations."""

from collections.abc import Iterator

from app.db.schema_state import SchemaBehindError, SchemaIncompatibleError

from .context import CheckContext
from .finding import Finding, failed, passed


def check(context: CheckContext) -> Iterator[Finding]:
    """Compare the schema with this release's migrations."""
    try:
        state = context.schema_state()
    except SchemaBehindError as error:
        yield _pending(len(error.missing), expected=context.before_migrating)
    except SchemaIncompatibleError as error:
        yield failed(f"{error}.", "See docs/release-path.md, A migration fails.")
    else:
        all_applied = "all migrations of this release are applied"
        yield passed(f"{all_applied}." if state == "current" else f"{all_applied}, and compatible newer ones.")


def _pending(number: int, *, expected: bool) -> Finding:
    if expected:
        return passed(f"{number} migrations are pending; the deploy applies them next.")
    return failed(f"{number} migrations are pending, so this release is not ready.", "Deploy it, or: flask db upgrade")
