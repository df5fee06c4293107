"""Files, commands, URLs and links in the documents exist in the project."""

import re
import subprocess
from pathlib import Path

import pytest

from app import create_app

ROOT = Path(__file__).parent.parent.parent.parent
DOCUMENTS = sorted([*ROOT.glob("*.md"), *ROOT.glob("docs/*.md")])
TEXT = {path.relative_to(ROOT).as_posix(): path.read_text() for path in DOCUMENTS}
ALL = "\n".join(TEXT.values())


@pytest.fixture(scope="module")
def app():
    """An application with every route and command."""
    return create_app("testing", environ={})


@pytest.mark.parametrize("name", TEXT)
def test_links(name):
    """Every relative link leads to a file."""
    targets = re.findall(r"\]\((?!https?:)([^)#]+)\)", TEXT[name])
    assert [target for target in targets if not (ROOT / name).parent.joinpath(target).exists()] == []


def test_files():
    """Every path that a document names in backticks exists."""
    named = set(re.findall(r"`((?:app|nginx|docs|scripts|tests|migrations|ops|deploy|\.github)/[\w./-]*)`", ALL))
    assert sorted(path for path in named if not (ROOT / path).exists()) == []


def test_request_path_lists_each_module_once():
    """docs/request-path.md lists each module of the application exactly once, except for __init__.py files."""
    modules = {path.relative_to(ROOT).as_posix() for path in ROOT.glob("app/**/*.py") if path.name != "__init__.py"}
    rows = re.findall(r"^\| (.*?) \|", TEXT["docs/request-path.md"], re.MULTILINE)
    named = re.findall(r"`(app/[\w/]+\.py)`", " ".join(rows))
    assert [name for name in sorted(named) if not name.endswith("__init__.py")] == sorted(modules)


def test_make_targets():
    """Every `make` command in a document is a target of the Makefile, and the Makefile has at most ten."""
    targets = set(re.findall(r"^([a-z-]+):.*##", (ROOT / "Makefile").read_text(), re.MULTILINE))
    assert set(re.findall(r"(?:^    |`)make ([a-z-]+)", ALL, re.MULTILINE)) <= targets
    assert len(targets) <= 10


def test_flask_commands(app):
    """Every `flask` command in a document exists."""
    known = {*app.cli.commands, "db", "run", "routes", "shell"}
    assert set(re.findall(r"(?:\bweb |bin/|`|^ +)flask ([a-z]+(?:-[a-z]+)*)", ALL, re.MULTILINE)) <= known


def test_addresses(app):
    """Every URL path of the application in a document is one of its routes."""
    rules = app.url_map.bind("localhost")
    named = set(re.findall(r"(?:localhost:8000|`(?:GET |POST )?)(/(?:api|health|cache)[\w/.]*)", ALL))
    assert named
    assert sorted(path for path in named if not rules.test(path)) == []


def test_project_name_is_set_once():
    """Only docker-compose.yml contains the project name, once."""
    command = ["git", "grep", "-l", "-w", "myapp", "--", ".", ":!docs", ":!*.md", ":!tests"]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=10, check=True)
    assert done.stdout.split() == ["docker-compose.yml"]
    assert (ROOT / "docker-compose.yml").read_text().count("myapp") == 1
