"""What caches outside the application may keep, and for how long."""

import time

import pytest

from app import create_app


@pytest.fixture
def answer():
    """Return a function that answers with this Cache-Control, none if it is empty, and returns the headers."""
    app = create_app("testing", environ={})

    def ask(said, status=200):
        app.add_url_rule("/it", "it", lambda: ("x", status, {"Cache-Control": said} if said else {}))
        return app.test_client().get("/it").headers

    return ask


@pytest.mark.parametrize("status", [200, 404])
def test_nothing_is_stored_by_default(answer, status):
    """An answer that does not say it may be stored says that it may not."""
    assert answer("", status)["Cache-Control"] == "no-store"


def test_what_may_be_stored_keeps_its_word(answer):
    """An answer that says it may be stored is left as it is."""
    headers = answer("public, max-age=60")
    assert (headers["Cache-Control"], headers.get("X-Accel-Expires")) == ("public, max-age=60", None)


@pytest.mark.parametrize(
    ("said", "status"),
    [
        *[("private, s-maxage=60", 200), ("s-maxage=60, no-store", 200), ("no-cache, s-maxage=60", 200)],
        *[("s-maxage=0", 200), ("public, s-maxage=60", 404), ("public, s-maxage=60", 500)],
    ],
)
def test_nginx_is_told_to_keep_nothing_else(answer, said, status):
    """What is not for all, ends at once or is an error gets no word that would outdo what it says."""
    assert "X-Accel-Expires" not in answer(said, status)


@pytest.mark.parametrize("seconds", [1, 60])
def test_nginx_keeps_it_no_longer_than_said(answer, monkeypatch, seconds):
    """Nginx is told the last second in which it may answer, counted from the one that has begun."""
    monkeypatch.setattr(time, "time", lambda: 1_000_000.999)
    assert answer(f"public, max-age=0, s-maxage={seconds}")["X-Accel-Expires"] == f"@{999_999 + seconds}"
