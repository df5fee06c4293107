"""The history: only ever added to, and read as the releases that can be gone back to."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ops.release import history


def entry(command, image, result="ok", **details):
    """Return an entry."""
    return {"command": command, "image": image, "release": f"release {image}", "result": result, **details}


STEPS = st.lists(
    st.one_of(
        st.sampled_from("abcd"),
        st.just("back"),
        st.builds(entry, st.sampled_from(["deploy", "canary", "abort"]), st.sampled_from("abcd"), st.just("failed")),
        st.builds(entry, st.sampled_from(["canary", "abort"]), st.sampled_from("abcd")),
    )
)


@given(steps=STEPS)
def test_releases(steps):
    """A deploy puts a release on the pile, a rollback takes one from it, and nothing else changes it."""
    pile, written = [], []
    for step in steps:
        if step == "back" and len(pile) > 1:
            pile.pop()
            written.append(entry("rollback", pile[-1]))
        elif isinstance(step, dict):
            written.append(step)
        elif step != "back":
            pile = [*[image for image in pile if image != step], step]
            written.append(entry("deploy", step))
    assert [release["image"] for release in history.releases(written)] == pile


def test_by_digest():
    """What a release is, is its digest: another registry's name or a tag in the name makes it no other one."""
    written = [entry("deploy", "one/shop@sha256:1"), entry("deploy", "one/shop@sha256:2", contract=["1"])]
    again = entry("deploy", "other/shop:v1@sha256:1")
    assert [release["image"] for release in history.releases([*written, again])][-1] == "other/shop:v1@sha256:1"
    assert len(history.releases([*written, again])) == 2
    assert history.contracts_after([*written, again], "one/shop@sha256:1") == []


def test_lost_beginning():
    """Where the line that brought a release is lost, all contract steps that are known count."""
    assert history.contracts_after([entry("deploy", "b", "begun", contract=["1"])], "a") == ["1"]


def test_promoted():
    """A canary that was promoted is a release like any other."""
    written = [entry("deploy", "a"), entry("canary", "b"), entry("promote", "b")]
    assert [release["image"] for release in history.releases(written)] == ["a", "b"]


@pytest.mark.parametrize("result", ["ok", "failed", "begun"])
def test_contracts(result):
    """Contract steps count from the moment they began, however the deploy ended; none from before counts."""
    steps = [entry("deploy", "b", "begun", contract=["1"]), entry("deploy", "b")]
    later = entry("deploy", "c", result, contract=["2"])
    assert history.contracts_after([entry("deploy", "a"), *steps, later], "b") == ["2"]


def test_contracts_since_the_last_time():
    """A release that was deployed again after a contract step can live with it."""
    step = entry("deploy", "b", "begun", contract=["1"])
    assert history.contracts_after([entry("deploy", "a"), step, entry("deploy", "a")], "a") == []


def test_contracts_after_a_rollback():
    """A rollback to a release does not wipe out what the schema went through since it was deployed."""
    step = entry("deploy", "b", "begun", contract=["1"])
    assert history.contracts_after([entry("deploy", "a"), step, entry("rollback", "a")], "a") == ["1"]


def test_added(tmp_path):
    """An entry has the time and the person, and comes after those that are there."""
    path = tmp_path / "history.jsonl"
    for image in "ab":
        history.add(path, entry("deploy", image))
    assert [found["image"] for found in history.entries(path)] == ["a", "b"]
    assert {"time", "by"} <= set(history.entries(path)[0])


@pytest.fixture
def torn(tmp_path):
    """A history whose last line a crash cut short."""
    path = tmp_path / "history.jsonl"
    history.add(path, entry("deploy", "a"))
    with path.open("a", encoding="utf-8") as file:
        file.write('{"time": "2026-01-01T00:0')
    return path


def test_torn(torn):
    """A line that was cut short is left out."""
    assert [found["image"] for found in history.entries(torn)] == ["a"]


def test_added_after_a_torn_line(torn):
    """What is written after a line that was cut short is not lost with it."""
    history.add(torn, entry("deploy", "b"))
    assert [found["image"] for found in history.entries(torn)] == ["a", "b"]


def test_none(tmp_path):
    """A new server has no history."""
    assert history.entries(tmp_path / "history.jsonl") == []
