"""ops runs on a server's own Python, with nothing installed."""

import ast
import sys

import pytest

from tests.support.helpers import ROOT

FILES = sorted((ROOT / "ops").rglob("*.py"))


def test_found():
    """There is something to look at."""
    assert len(FILES) > 20


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.name)
def test_syntax(path):
    """Python 3.9 can read each file."""
    ast.parse(path.read_text(encoding="utf-8"), feature_version=(3, 9))


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.name)
def test_imports(path):
    """Each imports the standard library and ops, and nothing else."""
    found = set()
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            found |= {alias.name.partition(".")[0] for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0
            found.add(node.module.partition(".")[0])
    assert found <= {"ops", *sys.stdlib_module_names}


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.name)
def test_annotations(path):
    """Each that has annotations does not evaluate them: `str | None` is an error when 3.9 does."""
    tree = ast.parse(path.read_text(encoding="utf-8"))
    postponed = any(isinstance(node, ast.ImportFrom) and node.module == "__future__" for node in tree.body)
    assert postponed or not any(isinstance(node, ast.FunctionDef | ast.AnnAssign) for node in ast.walk(tree))
