"""Log handlers: every line is whole, and a failing log does not fail requests."""

import io
import json
import logging
import os
import subprocess
import sys
import threading
from collections import Counter
from contextlib import suppress

import pytest
from flask import g

from app.observability import log_handlers
from app.observability.log_handlers import LogFileHandler, StderrHandler
from app.observability.logging import JSONFormatter
from tests.support.helpers import ROOT, wait_for

# Forks as Gunicorn does; one line in ten is longer than a pipe accepts atomically, and than a file's buffer.
WRITERS = """
import logging, os, sys
from app.observability.log_handlers import LogFileHandler, StderrHandler
log = logging.getLogger()
log.addHandler(LogFileHandler(sys.argv[1]) if sys.argv[1:] else StderrHandler())
log.error("master")
children = []
for name in range(4):
    if not (child := os.fork()):
        for number in range(300):
            log.error("%d %d %s", name, number, "x" * (20_000 if number % 10 == 0 else number))
        os._exit(0)
    children.append(child)
sys.exit(max(os.waitpid(child, 0)[1] for child in children))
"""
WRITTEN = Counter(
    f"{name} {number} {'x' * (20_000 if number % 10 == 0 else number)}" for name in range(4) for number in range(300)
) + Counter(["master"])
# Fills the disk, as far as the process can tell: files may not grow beyond 100 bytes for a while.
FULL_DISK = """
import json, logging, resource, sys
from app.observability.log_handlers import LogFileHandler
log = logging.getLogger("shop")
log.addHandler(LogFileHandler(sys.argv[1]))
log.propagate = False
reports = []
handler = logging.Handler()
handler.emit = lambda record: reports.append(record.getMessage())
logging.getLogger().addHandler(handler)
logging.getLogger().setLevel("INFO")
log.error("before %s", "x" * 80)
resource.setrlimit(resource.RLIMIT_FSIZE, (100, resource.RLIM_INFINITY))
for _ in range(500):
    log.error("during %s", "y" * 80)
resource.setrlimit(resource.RLIMIT_FSIZE, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))
log.error("after %s", "z" * 80)
print(json.dumps(reports))
"""


# Forks while a record waits.
FORK = """
import logging, os
from app.observability.log_handlers import StderrHandler
handler = StderrHandler(["request"])
logging.getLogger().addHandler(handler)
logging.getLogger().setLevel("INFO")
handler.start_batching()
logging.getLogger("request").info("parent")
if not (child := os.fork()):
    logging.getLogger("request").info("child")
    logging.shutdown()
    os._exit(0)
os.waitpid(child, 0)
"""


def run(code, *arguments):
    """Run Python with a reader of standard error that is slower than it; return both outputs."""
    command = [sys.executable, "-c", code, *arguments]
    with subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.PIPE, bufsize=0) as process:
        errors = b"".join(iter(lambda: process.stderr.read(1000), b"")).decode()
        output = process.stdout.read().decode()
    assert process.returncode == 0, errors
    return output, errors


class Pipe:
    """A pipe that a handler uses as standard error."""

    def __init__(self):
        self.reader, writer = os.pipe()
        self.stream = os.fdopen(writer, "w", errors="backslashreplace")
        self.content = b""

    def lines(self):
        """Return the lines written so far."""
        os.set_blocking(self.reader, False)
        try:
            while part := os.read(self.reader, 65536):
                self.content += part
        except BlockingIOError:
            pass
        return self.content.decode().splitlines()


@pytest.fixture
def pipe(monkeypatch):
    """A pipe that is sys.stderr."""
    made = Pipe()
    monkeypatch.setattr(sys, "stderr", made.stream)
    yield made
    with suppress(BrokenPipeError):
        made.stream.close()
    os.close(made.reader)


@pytest.fixture
def stderr_log(pipe):  # noqa: ARG001 - the handler takes sys.stderr when it is made
    """A logger that writes to the pipe alone."""
    log = logging.Logger("shop")  # noqa: LOG001 - no other test knows it
    log.addHandler(StderrHandler(batched=["shop"]))
    yield log
    log.handlers[0].stream = None  # its thread lives on, and the next test may reuse the descriptor


@pytest.fixture
def batching_log(stderr_log, monkeypatch):
    """The same logger, with records that wait for a minute."""
    monkeypatch.setattr(log_handlers, "DELAY_S", 60)
    stderr_log.handlers[0].start_batching()
    return stderr_log


@pytest.fixture
def file_log(tmp_path):
    """Return a function that makes a logger which writes to a file alone."""
    handlers = []

    def make(path=tmp_path / "app.log"):
        handlers.append(LogFileHandler(str(path)))
        log = logging.Logger("shop")  # noqa: LOG001
        log.addHandler(handlers[-1])
        return log

    yield make
    for handler in handlers:
        handler.close()


def test_without_batching(stderr_log, pipe):
    """Before batching starts a line is in the pipe when the call returns, as the process may fork or end."""
    stderr_log.info("one")
    assert pipe.lines() == ["one"]


def test_batching(stderr_log, pipe):
    """Batched lines are written in order after a moment."""
    stderr_log.handlers[0].start_batching()
    for batch in ("first", "second"):
        stderr_log.info(batch)
        assert batch not in pipe.lines()
        stderr_log.info("%s again", batch)
        wait_for(lambda expected=f"{batch} again": pipe.lines()[-1] == expected)
    assert pipe.lines() == ["first", "first again", "second", "second again"]


def test_warning_does_not_wait(batching_log, pipe):
    """A warning is written at once, after the waiting lines."""
    batching_log.info("one")
    assert pipe.lines() == []
    batching_log.warning("two")
    assert pipe.lines() == ["one", "two"]


def test_other_logger_does_not_wait(batching_log, pipe):
    """A record of a logger that is not batched is written at once."""
    record = {"msg": "one", "name": "gunicorn.error", "levelno": logging.INFO}
    batching_log.handlers[0].handle(logging.makeLogRecord(record))
    assert pipe.lines() == ["one"]


def test_full_batch_does_not_wait(batching_log, pipe):
    """A full batch is written at once."""
    for _ in range(log_handlers.MAX_BUFFERED + 1):
        batching_log.info("x" * 300)
    assert len(pipe.lines()) == log_handlers.MAX_BUFFERED + 1


def test_flush_writes_batch(batching_log, pipe):
    """Waiting lines are written when the process ends."""
    batching_log.info("one")
    batching_log.handlers[0].flush()
    assert pipe.lines() == ["one"]


def test_batched_line_has_request_id(batching_log, pipe, app):
    """A batched line has the ids of its request, which has ended when another thread formats it."""
    batching_log.handlers[0].setFormatter(JSONFormatter("r1"))
    with app.test_request_context():
        app.preprocess_request()
        batching_log.info("one")
        request_id = g.request_id
    batching_log.handlers[0].flush()
    (line,) = pipe.lines()
    assert json.loads(line)["request_id"] == request_id


def test_fork_leaves_batch_to_parent():
    """The parent alone writes the lines that waited when it forked."""
    assert sorted(run(FORK)[1].splitlines()) == ["child", "parent"]


def test_threads_share_stderr(stderr_log, pipe):
    """Threads that log at the same time lose no line and mix none."""
    stderr_log.handlers[0].start_batching()
    texts = [[f"{thread} {number} {'x' * number}" for number in range(100)] for thread in range(4)]
    threads = [threading.Thread(target=lambda mine: [stderr_log.info(text) for text in mine], args=(t,)) for t in texts]
    for thread in threads:
        thread.start()
    wait_for(lambda: len(pipe.lines()) >= 400)
    for thread in threads:
        thread.join()
    assert sorted(pipe.lines()) == sorted(text for mine in texts for text in mine)


@pytest.mark.guarantee("Processes that share a log write whole lines only, even while logrotate renames the file")
def test_processes_share_stderr():
    """Lines of four processes are whole, including those that a pipe does not accept atomically."""
    assert Counter(run(WRITERS)[1].splitlines()) == WRITTEN


def test_closed_pipe_fails_nobody(stderr_log, pipe):
    """A reader that has closed the pipe does not fail the caller."""
    os.close(pipe.reader)
    stderr_log.info("lost")
    stderr_log.info("lost too")
    pipe.reader = os.open(os.devnull, os.O_RDONLY)


def test_non_blocking_pipe_loses_nothing(pipe, monkeypatch):
    """A parent's O_NONBLOCK cuts no line: the handler waits for the reader."""
    os.set_blocking(pipe.stream.fileno(), False)
    monkeypatch.setattr(sys, "stderr", pipe.stream)  # again: pytest replaces it between a fixture and its test
    handler = StderrHandler()
    writer = threading.Thread(target=handler.handle, args=(logging.makeLogRecord({"msg": "x" * 200_000}),))
    writer.start()
    wait_for(lambda: pipe.lines() == ["x" * 200_000])
    writer.join()


def test_surrogate_is_escaped(stderr_log, file_log, pipe, tmp_path):
    """A lone surrogate, which UTF-8 cannot encode, is written as its number."""
    stderr_log.info("a\ud800b")
    file_log().info("a\ud800b")
    assert pipe.lines() == ["a\\ud800b"]
    assert (tmp_path / "app.log").read_text() == "a\\ud800b\n"


def test_stderr_without_descriptor(monkeypatch):
    """Where standard error is not a file, its `write` is used; a closed or missing one is ignored."""
    monkeypatch.setattr(sys, "stderr", io.StringIO())
    handler = StderrHandler()
    monkeypatch.setattr(handler, "handleError", pytest.fail)
    record = logging.makeLogRecord({"msg": "one"})
    handler.handle(record)
    assert handler.stream.getvalue() == "one\n"
    handler.stream.close()
    handler.handle(record)
    handler.stream = None
    handler.handle(record)


@pytest.mark.parametrize("handler_class", [StderrHandler, LogFileHandler])
def test_unformattable_record_costs_its_line(handler_class, tmp_path, monkeypatch, pipe):  # noqa: ARG001
    """A record that cannot be formatted raises nothing in the caller."""
    monkeypatch.setattr(logging, "raiseExceptions", False)
    handler = handler_class() if handler_class is StderrHandler else handler_class(str(tmp_path / "app.log"))
    handler.handle(logging.makeLogRecord({"msg": "%z", "args": (1,)}))
    handler.close()


def test_unformattable_record_spares_its_batch(batching_log, pipe, monkeypatch):
    """The other records of a batch are written."""
    monkeypatch.setattr(logging, "raiseExceptions", False)
    for text in ("one", "%z", "two"):
        batching_log.info(text, *[1] * (text == "%z"))
    batching_log.handlers[0].flush()
    assert pipe.lines() == ["one", "two"]


@pytest.mark.guarantee("Processes that share a log write whole lines only, even while logrotate renames the file")
def test_processes_share_file(tmp_path):
    """Lines of four processes are whole while the file is renamed again and again, as logrotate does."""
    file, done = tmp_path / "app.log", threading.Event()

    def rotate():
        while not done.wait(0.001):
            if file.exists():
                file.rename(tmp_path / f"app.log.{len(list(tmp_path.iterdir()))}")

    rotation = threading.Thread(target=rotate)
    rotation.start()
    try:
        run(WRITERS, str(file))
    finally:
        done.set()
        rotation.join()
    files = list(tmp_path.iterdir())
    assert len(files) > 5
    assert Counter(line for path in files for line in path.read_text().splitlines()) == WRITTEN


def test_rotated_file_is_recreated(file_log, tmp_path):
    """After a rename the next line creates the file, for its owner and group alone."""
    log = file_log()
    log.error("one")
    (tmp_path / "app.log").rename(tmp_path / "app.log.1")
    log.error("two")
    assert (tmp_path / "app.log").read_text() == "two\n"
    assert (tmp_path / "app.log").stat().st_mode & 0o137 == 0


def test_missing_folder_is_reported_once(file_log, tmp_path, caplog):
    """A missing folder does not fail the caller; the handler reports it once, and reports the recovery."""
    log = file_log(tmp_path / "later" / "app.log")
    for _ in range(3):
        log.error("lost")
    assert [record.getMessage() for record in caplog.records] == [
        "cannot write LOG_TO_FILE, log lines go to standard error only: No such file or directory"
    ]
    (tmp_path / "later").mkdir()
    caplog.set_level(logging.INFO, "app.observability.log_handlers")
    log.error("written")
    assert caplog.records[-1].getMessage() == "LOG_TO_FILE is writable again"
    assert (tmp_path / "later" / "app.log").read_text() == "written\n"


@pytest.mark.guarantee("A full disk or a missing log folder fails no request and is reported once")
def test_full_disk_leaves_whole_lines(tmp_path):
    """A full disk loses lines and cuts none; it is reported once, and so is the recovery."""
    reports = json.loads(run(FULL_DISK, str(tmp_path / "app.log"))[0])
    assert reports == [
        "cannot write LOG_TO_FILE, log lines go to standard error only: File too large",
        "LOG_TO_FILE is writable again",
    ]
    first, *during, last = (tmp_path / "app.log").read_text().splitlines()
    assert (first, last) == (f"before {'x' * 80}", f"after {'z' * 80}")
    assert set(during) == {f"during {'y' * 80}"}
