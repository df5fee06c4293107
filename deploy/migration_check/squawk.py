"""Squawk's opinion of the SQL that each migration would run."""

import contextlib
import io
import json
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

from alembic import command
from alembic.script import Script
from flask import current_app

CONFIG = Path(__file__).parent.parent.parent / ".squawk.toml"


def lint(scripts: list[Script], folder: Path) -> Iterator[str]:
    """Yield what Squawk finds in each migration, and which of them cannot be printed as SQL."""
    with tempfile.TemporaryDirectory(prefix="migrations-") as place:
        for script in scripts:
            try:
                (Path(place) / f"{Path(script.path).stem}.sql").write_text(_sql(script, folder))
            except Exception as error:  # noqa: BLE001 - a migration is any code at all
                yield (
                    f"{Path(script.path).name}: cannot be printed as SQL ({error}). Use op.execute() instead of "
                    "reading rows, or look at op.get_context().as_sql first."
                )
        yield from _run(Path(place))


def _sql(script: Script, folder: Path) -> str:
    """Return what `flask db upgrade PREVIOUS:THIS --sql` prints."""
    config = current_app.extensions["migrate"].migrate.get_config(str(folder))
    with contextlib.redirect_stdout(io.StringIO()) as printed:
        command.upgrade(config, f"{script.down_revision or 'base'}:{script.revision}", sql=True)
    return printed.getvalue()


def _run(place: Path) -> Iterator[str]:
    files = sorted(str(path) for path in place.glob("*.sql"))
    if not files:
        return
    squawk = [str(Path(sys.executable).with_name("squawk")), "--config", str(CONFIG), "--reporter", "json", *files]
    done = subprocess.run(squawk, capture_output=True, text=True, timeout=60, check=False)
    if done.returncode not in {0, 1}:
        raise RuntimeError(f"squawk: {done.stderr}")
    for found in json.loads(done.stdout):
        remedy = f" {found['help']}" if found.get("help") else ""
        yield f"{Path(found['file']).stem}.py: {found['message']}{remedy} (squawk: {found['rule_name']})"
