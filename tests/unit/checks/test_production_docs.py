"""docs/production-check.md is generated from the checks."""

from app.checks import registry as application
from ops.server.checks import registry as server
from scripts import production_check_page
from tests.support.helpers import ROOT


def test_page_is_current():
    """The page is what scripts/production_check_page.py generates."""
    assert (ROOT / "docs/production-check.md").read_text(encoding="utf-8") == production_check_page.page()


def test_names_are_unique():
    """The application's and the server's checks have different names."""
    assert {each.name for each in application.CHECKS} & {each.name for each in server.CHECKS} == set()
