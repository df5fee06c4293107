"""scripts/generated.py: a generated page is written, and an outdated one fails the check with the remedy."""

import sys

import pytest
from generated import write_or_check


@pytest.fixture
def run(monkeypatch, tmp_path):
    """Return a function that runs the script for a page, with options."""

    def run(text, *options):
        monkeypatch.setattr(sys, "argv", ["scripts/x_page.py", *options])
        return write_or_check(tmp_path / "page.md", text, "Writes a page.")

    return run


def test_a_written_page_passes_the_check(run):
    """After the script has written the page, --check returns 0."""
    assert run("new\n") == 0
    assert run("new\n", "--check") == 0


def test_an_outdated_page_fails_the_check(run, capsys):
    """--check returns 1, names the lines that are no longer generated, and prints the command to run."""
    run("kept\nold\n")
    assert run("kept\n", "--check") == 1
    assert capsys.readouterr().err.splitlines() == [
        "page.md: no longer generated: old",
        "page.md is out of date. Run: .venv/bin/python scripts/x_page.py",
    ]


def test_a_missing_page_fails_the_check(run):
    """--check returns 1 where the page was never written."""
    assert run("new\n", "--check") == 1
