"""docs/production-check.md has every check, with what is said of it where it is declared."""

import re

import pytest

from app.checks import checks
from ops.server.checks import registry as host
from tests.support.helpers import ROOT

PAGE = (ROOT / "docs/production-check.md").read_text(encoding="utf-8")
DEPLOY = {"stops": "a FAIL stops it", "warns": "a FAIL is a WARN", "": "not looked at"}


def rows(title):
    """Return the rows of the table under a title, its head aside."""
    section = PAGE.partition(f"\n## {title}\n")[2].partition("\n## ")[0]
    table = [line for line in section.splitlines() if line.startswith("| ")]
    return [[cell.strip() for cell in re.split(r" ?\|(?: |$)", line.removeprefix("| "))[:-1]] for line in table[2:]]


@pytest.mark.parametrize(
    ("title", "declared"),
    [
        ("Of the application", [[f"`{each.name}`", each.passes, each.warns, each.fails] for each in checks.CHECKS]),
        (
            "Of the server",
            [[f"`{each.name}`", each.passes, each.warns, each.fails, DEPLOY[each.deploy]] for each in host.CHECKS],
        ),
    ],
)
def test_each_check_is_there(title, declared):
    """The page's tables are the tables of checks, in the same order."""
    assert rows(title) == declared


def test_no_name_is_in_both():
    """A finding's name says which list it is of."""
    assert {each.name for each in checks.CHECKS} & {each.name for each in host.CHECKS} == set()
