"""A log file that several processes share: every line is there once and whole, and a failing disk fails nobody."""

import logging
import os

import pytest

from app.observability.log_file import SharedFileHandler


@pytest.fixture
def begin(tmp_path):
    """Return a function that makes a logger which writes to app.log alone."""
    made = []

    def start(max_bytes=300, kept=5, path=tmp_path / "app.log"):
        handler = SharedFileHandler(str(path), max_bytes, kept)
        made.append(handler)
        log = logging.Logger("shop")  # noqa: LOG001 - one that no other test knows
        log.addHandler(handler)
        return log

    yield start
    for handler in made:
        handler.close()


def lines(folder):
    """Return all lines of all files, oldest file first."""
    files = sorted(folder.glob("app.log*"), key=lambda path: -int(path.suffix[1:]) if path.suffix[1:].isdigit() else 0)
    return [line for path in files for line in path.read_text().splitlines()]


def test_rotates(begin, tmp_path):
    """A file that is full is begun anew; as many old ones are kept as was said, and nothing else lies there."""
    log = begin()
    for number in range(100):
        log.error("line %d %s", number, "x" * 40)
    files = sorted(path.name for path in tmp_path.iterdir())
    assert files == ["app.log", *(f"app.log.{number}" for number in range(1, 6))]
    assert all(path.stat().st_size <= 300 for path in tmp_path.iterdir())
    assert [line.split()[1] for line in lines(tmp_path)] == [str(number) for number in range(66, 100)]


def test_another_process_has_rotated(begin, tmp_path):
    """Whoever finds another file under its name writes to that, and does not rotate it again."""
    one, other = begin(), begin()
    one.error("x" * 200)
    other.error("y" * 200)
    one.error("z")
    assert (tmp_path / "app.log").read_text().splitlines() == ["y" * 200, "z"]
    assert not (tmp_path / "app.log.2").exists()


def test_taken_away(begin, tmp_path):
    """A file that somebody else moves away, such as logrotate, is begun anew."""
    log = begin()
    log.error("one")
    (tmp_path / "app.log").rename(tmp_path / "elsewhere")
    log.error("two")
    assert (tmp_path / "app.log").read_text() == "two\n"


def test_longer_than_a_file(begin, tmp_path):
    """A line that is longer than a file may be is written all the same, into a file of its own."""
    log = begin(max_bytes=10)
    for letter in "ab":
        log.error(letter * 50)
    assert (tmp_path / "app.log").read_text() == "b" * 50 + "\n"
    assert (tmp_path / "app.log.1").read_text() == "a" * 50 + "\n"


def test_text_that_is_none(begin, tmp_path):
    """Half a character, which no encoding has, is written as its number."""
    begin().error("a\ud800b")
    assert (tmp_path / "app.log").read_text() == "a\\ud800b\n"


def test_folder_is_away(begin, tmp_path, caplog):
    """A folder that is not there fails nobody; it is said once, and again when it is over."""
    log = begin(path=tmp_path / "later" / "app.log")
    for _ in range(3):
        log.error("lost")
    assert [record.getMessage() for record in caplog.records] == [
        "LOG_TO_FILE cannot be written, lines are on standard error alone: No such file or directory"
    ]
    (tmp_path / "later").mkdir()
    caplog.set_level(logging.INFO, "app.observability.log_file")
    log.error("kept")
    assert caplog.records[-1].getMessage() == "the log file is written again"
    assert (tmp_path / "later" / "app.log").read_text().split() == ["kept"]


def test_disk_is_full(begin, tmp_path, monkeypatch):
    """Of a line that found room for its half only, the next one keeps apart."""
    log = begin()
    real, room = os.write, [4]

    def write(descriptor, data):
        if not room:
            raise OSError(28, "No space left on device")
        return real(descriptor, data[: room.pop()])

    monkeypatch.setattr(os, "write", write)
    log.error("a long line")
    monkeypatch.setattr(os, "write", real)
    log.error("whole")
    assert (tmp_path / "app.log").read_text().splitlines() == ["a lo", "whole"]
