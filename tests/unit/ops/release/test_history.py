"""The history: append-only, and the source of the releases for a rollback."""

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
    """A deploy pushes a release, a rollback pops one, and nothing else changes the stack."""
    stack, written = [], []
    for step in steps:
        if step == "back" and len(stack) > 1:
            stack.pop()
            written.append(entry("rollback", stack[-1]))
        elif isinstance(step, dict):
            written.append(step)
        elif step != "back":
            stack = [*[image for image in stack if image != step], step]
            written.append(entry("deploy", step))
    assert [release["image"] for release in history.releases(written)] == stack


def test_by_digest():
    """The digest identifies a release, whatever its registry or tag."""
    written = [entry("deploy", "one/shop@sha256:1"), entry("deploy", "one/shop@sha256:2", contract=["1"])]
    again = entry("deploy", "other/shop:v1@sha256:1")
    assert [release["image"] for release in history.releases([*written, again])][-1] == "other/shop:v1@sha256:1"
    assert len(history.releases([*written, again])) == 2
    assert history.contracts_after([*written, again], "one/shop@sha256:1") == []


def test_truncated_history():
    """If a release's own entry is lost, all known contract steps count."""
    assert history.contracts_after([entry("deploy", "b", "begun", contract=["1"])], "a") == ["1"]


def test_promoted():
    """A promoted canary is a release."""
    written = [entry("deploy", "a"), entry("canary", "b"), entry("promote", "b")]
    assert [release["image"] for release in history.releases(written)] == ["a", "b"]


@pytest.mark.parametrize("result", ["ok", "failed", "begun"])
def test_contracts(result):
    """Contract steps count from their beginning, however the deploy ended; earlier ones do not."""
    steps = [entry("deploy", "b", "begun", contract=["1"]), entry("deploy", "b")]
    later = entry("deploy", "c", result, contract=["2"])
    assert history.contracts_after([entry("deploy", "a"), *steps, later], "b") == ["2"]


def test_contracts_after_a_redeploy():
    """Contract steps before a release's last deploy do not count."""
    step = entry("deploy", "b", "begun", contract=["1"])
    assert history.contracts_after([entry("deploy", "a"), step, entry("deploy", "a")], "a") == []


def test_contracts_after_a_rollback():
    """A rollback to a release does not reset its contract steps."""
    step = entry("deploy", "b", "begun", contract=["1"])
    assert history.contracts_after([entry("deploy", "a"), step, entry("rollback", "a")], "a") == ["1"]


def test_added(tmp_path):
    """An entry has time and user and is appended."""
    path = tmp_path / "history.jsonl"
    for image in "ab":
        history.add(path, entry("deploy", image))
    assert [found["image"] for found in history.entries(path)] == ["a", "b"]
    assert {"time", "by"} <= set(history.entries(path)[0])


@pytest.fixture
def truncated(tmp_path):
    """A history whose last line a crash cut short."""
    path = tmp_path / "history.jsonl"
    history.add(path, entry("deploy", "a"))
    with path.open("a", encoding="utf-8") as file:
        file.write('{"time": "2026-01-01T00:0')
    return path


def test_truncated_line(truncated):
    """A truncated line is ignored."""
    assert [found["image"] for found in history.entries(truncated)] == ["a"]


def test_added_after_a_truncated_line(truncated):
    """An entry after a truncated line is not lost."""
    history.add(truncated, entry("deploy", "b"))
    assert [found["image"] for found in history.entries(truncated)] == ["a", "b"]


def test_no_history(tmp_path):
    """A new server has no history."""
    assert history.entries(tmp_path / "history.jsonl") == []
