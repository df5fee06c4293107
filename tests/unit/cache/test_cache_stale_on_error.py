"""A backend away: the stale answer is better than none."""

import pytest
from werkzeug.exceptions import NotFound

from app.db.session import DatabaseUnavailableError
from tests.support.cache_site import Site


@pytest.fixture
def site():
    """A site whose kept answer is stale at once."""
    site = Site(ttl=1e-9)
    site.get()
    return site


def failing(error):
    """Return a view that raises."""

    def view():
        raise error

    return view


def test_stale_while_the_database_is_away(site):
    """When the view cannot reach its database, the old answer is given once more, and says that it is stale."""
    site.view = failing(DatabaseUnavailableError("refused"))
    answer = site.get()
    assert (answer.status_code, answer.text) == (200, "1")
    assert answer.headers["Cache-Status"].startswith("app; hit; ttl=-")
    assert not site.stored(":lock")


def test_nothing_to_give(site):
    """Without an old answer the error goes on."""
    site.app.testing = True
    site.view = failing(DatabaseUnavailableError("refused"))
    with pytest.raises(DatabaseUnavailableError):
        site.get("/thing/other")


def test_other_errors_go_on(site):
    """An error that is the answer, such as 404, takes the stale one's place."""
    site.view = failing(NotFound())
    assert site.get().status_code == 404
