"""Standard error: every line is there once and whole and in its order, the lines of requests a moment later."""

import io
import logging
import os
import subprocess
import sys
import threading

import pytest

from app.observability.log_stream import ROOM, StandardErrorHandler
from tests.support.helpers import ROOT, wait_for

# Forks as Gunicorn does, with lines that are longer than what a pipe takes in one piece.
WRITERS = """
import logging, os, sys
from app.observability.log_stream import StandardErrorHandler
handler = StandardErrorHandler(["request"])
logging.getLogger().addHandler(handler)
logging.getLogger().setLevel("INFO")
children = []
for name in range(4):
    if not (child := os.fork()):
        handler.gather()
        for number in range(300):
            logging.getLogger("request").info("%d %d %s", name, number, "x" * number)
            if number % 10 == 0:
                logging.error("%d long%d %s", name, number, "x" * 20_000)
        logging.shutdown()
        os._exit(0)
    children.append(child)
sys.exit(max(os.waitpid(child, 0)[1] for child in children))
"""
CHILD = """
import logging, os
from app.observability.log_stream import StandardErrorHandler
handler = StandardErrorHandler(["request"])
logging.getLogger().addHandler(handler)
logging.getLogger().setLevel("INFO")
handler.gather()
logging.getLogger("request").info("of the parent")
if not (child := os.fork()):
    logging.getLogger("request").info("of the child")
    logging.shutdown()
    os._exit(0)
os.waitpid(child, 0)
"""


class Pipe:
    """A pipe that is standard error to a handler."""

    closed = False

    def __init__(self):
        self.reader, self.writer = os.pipe()
        self.read = b""

    def fileno(self):
        """Where to write."""
        return self.writer

    def lines(self):
        """Return what has come so far."""
        os.set_blocking(self.reader, False)
        try:
            while part := os.read(self.reader, 65536):
                self.read += part
        except BlockingIOError:
            pass
        return self.read.decode().splitlines()


@pytest.fixture
def pipe():
    """A pipe."""
    made = Pipe()
    yield made
    for descriptor in (made.reader, made.writer):
        try:
            os.close(descriptor)
        except OSError:
            assert descriptor == made.reader  # a test has closed it


@pytest.fixture
def log(pipe):
    """A function that logs to the pipe, as a request does or, by its level, as anybody else."""
    handler = StandardErrorHandler(["request"])
    handler.stream = pipe

    def write(text, level=logging.INFO, name="request", args=()):
        handler.handle(logging.makeLogRecord({"msg": text, "levelno": level, "name": name, "args": args}))

    write.handler = handler
    return write


@pytest.fixture
def writes(monkeypatch):
    """The length of each write to a file."""
    real, made = os.write, []
    monkeypatch.setattr(os, "write", lambda descriptor, data: made.append(len(data)) or real(descriptor, data))
    return made


def test_at_once(log, pipe):
    """A process that does not serve writes each line at once: it may fork, or end, any time."""
    log("one")
    assert pipe.lines() == ["one"]


def test_gathered(log, pipe, writes):
    """In a worker the lines of many requests are there after a moment, in their order, by a write or two."""
    log.handler.gather()
    for number in range(100):
        log(str(number))
    wait_for(lambda: pipe.lines() == [str(number) for number in range(100)])
    assert len(writes) < 10
    log("later")
    wait_for(lambda: pipe.lines()[-1] == "later")


@pytest.mark.parametrize(("level", "name"), [(logging.WARNING, "request"), (logging.INFO, "gunicorn.error")])
def test_what_does_not_wait(log, pipe, monkeypatch, level, name):
    """What is not a request's usual line is there at once, behind the lines that came before it."""
    monkeypatch.setattr("app.observability.log_stream.DELAY", 60)
    log.handler.gather()
    log("before")
    assert pipe.lines() == []
    log("now", level, name)
    assert pipe.lines() == ["before", "now"]


def test_room(log, pipe, monkeypatch):
    """More than a pipe has room for does not gather: who logs more waits for the reader, as without gathering."""
    monkeypatch.setattr("app.observability.log_stream.DELAY", 60)
    log.handler.gather()
    for _ in range(ROOM + 1):
        log("x" * 300)
    assert len(pipe.lines()) == ROOM + 1


def test_end(log, pipe, monkeypatch):
    """At the end of a process what waits is written."""
    monkeypatch.setattr("app.observability.log_stream.DELAY", 60)
    log.handler.gather()
    log("last")
    log.handler.flush()
    assert pipe.lines() == ["last"]


def test_threads(log, pipe):
    """Threads that log at once lose no line and mix none."""
    log.handler.gather()
    texts = [[f"{thread} {number} {'x' * number}" for number in range(100)] for thread in range(4)]
    threads = [threading.Thread(target=lambda mine: [log(text) for text in mine], args=(mine,)) for mine in texts]
    for thread in threads:
        thread.start()
    wait_for(lambda: len(pipe.lines()) >= 400)
    for thread in threads:
        thread.join()
    assert sorted(pipe.lines()) == sorted(text for mine in texts for text in mine)


def run(code):
    """Run Python with a reader that is slower than it, and return the lines."""
    command = [sys.executable, "-c", code]
    with subprocess.Popen(command, cwd=ROOT, stderr=subprocess.PIPE, bufsize=0) as process:
        read = b"".join(iter(lambda: process.stderr.read(1000), b""))
    assert process.returncode == 0, read
    return read.decode().splitlines()


def test_processes():
    """Four processes at once, with lines that no pipe takes in one piece: each is there once and whole."""
    expected = [f"{name} {number} {'x' * number}" for name in range(4) for number in range(300)]
    expected += [f"{name} long{number} {'x' * 20_000}" for name in range(4) for number in range(0, 300, 10)]
    assert sorted(run(WRITERS)) == sorted(expected)


def test_child():
    """What waits when a process forks is written by it alone."""
    assert sorted(run(CHILD)) == ["of the child", "of the parent"]


def test_nobody_reads(log, pipe, monkeypatch):
    """A reader that is gone fails nobody."""
    monkeypatch.setattr(log.handler, "handleError", pytest.fail)
    os.close(pipe.reader)
    log("lost")
    log("lost too")


def test_reader_is_slow(log, pipe):
    """A pipe that does not block is waited for; if it stays full, lines are lost, and the next one is whole."""
    os.set_blocking(pipe.writer, False)
    log("x" * 100_000)
    assert 0 < len(pipe.lines()[0]) < 100_000
    log("whole")
    assert pipe.lines()[-1] == "whole"


def test_not_a_character(log, pipe):
    """Half a character, which no encoding has, is written as its number."""
    log("a\ud800b")
    assert pipe.lines() == ["a\\ud800b"]


def test_not_a_file(log, monkeypatch):
    """Where standard error is not a file, as in a notebook, its own `write` is used; where there is none, nothing."""
    monkeypatch.setattr(log.handler, "handleError", pytest.fail)
    log.handler.stream = io.StringIO()
    log("one")
    assert log.handler.stream.getvalue() == "one\n"
    log.handler.stream.close()
    log("closed")
    log.handler.stream = None
    log("none")


def test_a_form_that_fails(log, pipe, monkeypatch):
    """A record that cannot be told costs its own line; neither who logs nor another one's."""
    monkeypatch.setattr(logging, "raiseExceptions", False)
    log.handler.gather()
    for text in ("one", "%z", "two"):
        log(text, args=(1,) if text == "%z" else ())
    log("%z", logging.ERROR, args=(1,))
    log("three")
    wait_for(lambda: pipe.lines() == ["one", "two", "three"])
