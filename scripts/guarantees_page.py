"""Writes docs/guarantees.md from the tests that carry `@pytest.mark.guarantee("…")`; --check compares instead."""

import ast
import json
import sys
from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).parent.parent
sys.path.insert(0, str(ROOT))

from generated import write_or_check  # noqa: E402 - found by the line above

PAGE = ROOT / "docs/guarantees.md"
DURATIONS = ROOT / "tests/durations.json"
HEAD = """\
# Guarantees

Each sentence below is verified by the tests beside it: they run the real thing and, where it is about a failure, inject
that failure. `scripts/guarantees_page.py` generates this page from the `guarantee` marks in `tests/`, so that no
guarantee is listed without a test. The time is that of the whole file, from the last `make test-all`, on two cores.

Run one file with `make test TESTS=FILE`. The stack level needs a Docker engine.
"""
AREAS = {  # in the order of the page; the first prefix that fits decides
    "Releases": ("tests/stack/release", "tests/unit/ops"),
    "Edge": ("tests/stack/edge", "tests/unit/nginx"),
    "Data and backups": ("tests/stack/data",),
    "Database and migrations": ("tests/integration/db",),
    "HTTP API": ("tests/integration/api", "tests/unit/http"),
    "Cache": ("tests/integration/cache", "tests/unit/cache"),
    "Monitoring": ("tests/stack/observability", "tests/integration/observability"),
    "Configuration and start": ("tests/",),
}


@dataclass(frozen=True)
class Proof:
    """A test, or a whole file when NAME is empty, that verifies a guarantee."""

    file: str
    name: str

    @property
    def link(self) -> str:
        """The test as a Markdown link."""
        return f"[`{self.name or Path(self.file).name}`](../{self.file})"


def main() -> int:
    """Write or check the page."""
    text = page(guarantees(), json.loads(DURATIONS.read_text(encoding="utf-8")))
    return write_or_check(PAGE, text, __doc__)


def guarantees() -> dict[str, list[Proof]]:
    """Return each guarantee with its tests."""
    found = defaultdict(list)
    for path in sorted((ROOT / "tests").rglob("test_*.py")):
        for text, name in marks(ast.parse(path.read_text(encoding="utf-8"))):
            found[text].append(Proof(path.relative_to(ROOT).as_posix(), name))
    return found


def marks(module: ast.Module) -> Iterator[tuple[str, str]]:
    """Yield each guarantee's text with the name of the test that carries it, empty for `pytestmark`."""
    for statement in module.body:
        if isinstance(statement, ast.FunctionDef):
            for decorator in statement.decorator_list:
                yield from ((text, statement.name) for text in texts(decorator))
        elif isinstance(statement, ast.Assign):
            yield from ((text, "") for text in texts(statement.value))


def texts(expression: ast.expr) -> Iterator[str]:
    """Yield the text of each `pytest.mark.guarantee(…)` within an expression."""
    for node in ast.walk(expression):
        if isinstance(node, ast.Call) and ast.unparse(node.func) == "pytest.mark.guarantee":
            yield str(ast.literal_eval(node.args[0]))


def page(found: dict[str, list[Proof]], seconds: dict[str, int]) -> str:
    """Return the page, a table an area."""
    areas: dict[str, list[str]] = {area: [] for area in AREAS}
    for text, proofs in found.items():
        areas[area_of(proofs[0].file)].append(row(text, proofs, seconds))
    tables = ("\n".join((f"\n## {area}\n", *TABLE, *rows, "")) for area, rows in areas.items() if rows)
    return HEAD + "".join(tables)


TABLE = ("| Guarantee | Verified by | Level | Time |", "| --- | --- | --- | ---: |")


def area_of(file: str) -> str:
    """Return the area of the page that a test belongs to."""
    return next(area for area, prefixes in AREAS.items() if file.startswith(prefixes))


def row(text: str, proofs: list[Proof], seconds: dict[str, int]) -> str:
    """Return one guarantee as a row."""
    files = dict.fromkeys(proof.file for proof in proofs)
    levels = ", ".join(dict.fromkeys(file.split("/")[1] for file in files))
    total = sum(seconds.get(file, 0) for file in files)
    return f"| {text} | {', '.join(proof.link for proof in proofs)} | {levels} | {duration(total)} |"


def duration(seconds: int) -> str:
    """Return a time for people: seconds, or minutes from two on; a dash if it was never recorded."""
    if not seconds:
        return "-"
    return f"{seconds} s" if seconds < 120 else f"{round(seconds / 60)} min"


if __name__ == "__main__":
    sys.exit(main())
