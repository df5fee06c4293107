"""Run Squawk on the SQL of each migration."""

import contextlib
import io
import json
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

from alembic import command
from alembic.config import Config
from alembic.script import Script

SQUAWK_CONFIG = Path(__file__).with_name("squawk.toml")


def lint(scripts: list[Script], config: Config) -> Iterator[str]:
    """Yield Squawk's findings, and the migrations that cannot be rendered as SQL."""
    with tempfile.TemporaryDirectory(prefix="migrations-") as folder:
        for script in scripts:
            try:
                (Path(folder) / f"{Path(script.path).stem}.sql").write_text(_sql(script, config))
            except Exception as error:  # noqa: BLE001 - a migration may raise anything
                yield (
                    f"{Path(script.path).name}: cannot be rendered as SQL ({error}). Use op.execute() instead of "
                    "reading rows, or check op.get_context().as_sql first."
                )
        yield from _run(Path(folder))


def _sql(script: Script, config: Config) -> str:
    """Return the output of `alembic upgrade PREVIOUS:THIS --sql`."""
    with contextlib.redirect_stdout(io.StringIO()) as printed:
        command.upgrade(config, f"{script.down_revision or 'base'}:{script.revision}", sql=True)
    return printed.getvalue()


def _run(folder: Path) -> Iterator[str]:
    files = sorted(str(path) for path in folder.glob("*.sql"))
    if not files:
        return
    squawk = [str(Path(sys.executable).with_name("squawk")), "--config", str(SQUAWK_CONFIG), "--reporter", "json"]
    done = subprocess.run([*squawk, *files], capture_output=True, text=True, timeout=60, check=False)
    if done.returncode not in {0, 1}:
        raise RuntimeError(f"squawk: {done.stderr}")
    for found in json.loads(done.stdout):
        remedy = f" {found['help']}" if found.get("help") else ""
        yield f"{Path(found['file']).stem}.py: {found['message']}{remedy} (squawk: {found['rule_name']})"
