"""A log file that many processes write to at once: whole lines, rotated by size, each line kept once.

Every line is one write in append mode, for which the kernel finds the place, so lines never mix and no lock is needed.
Whoever finds the file full rotates it, under a lock (on the folder) that nobody waits for; the others notice by the
file's number that their name now means another one. What cannot be written is lost here, and stands on standard error.
"""

import fcntl
import logging
import os
from contextlib import suppress
from pathlib import Path

from app.observability.log_stream import write_all

log = logging.getLogger(__name__)


class SharedFileHandler(logging.Handler):
    """Appends to FILENAME; at MAX_BYTES it becomes FILENAME.1, and so on up to .KEPT."""

    def __init__(self, filename: str, max_bytes: int, kept: int) -> None:
        super().__init__()
        self.file = str(Path(filename).absolute())
        self.max_bytes = max_bytes
        self.kept = kept
        self.descriptor = -1
        self.number: tuple[int, int] | None = None  # of the open file, by which it is told from another one of its name
        self.failing = False

    def emit(self, record: logging.LogRecord) -> None:
        """Write the record; a disk that is full costs the line and nothing else."""
        try:
            self._write(self.format(record).encode(errors="backslashreplace") + b"\n")
        except OSError as error:
            self._failed(error)
        except Exception:  # noqa: BLE001 - as every handler of logging does
            self.handleError(record)

    def _write(self, line: bytes) -> None:
        if self._full(len(line)):
            self._rotate(len(line))
        if self.failing:
            line = b"\n" + line  # the disk may have taken half of the last one
        write_all(self.descriptor, line)
        if self.failing:
            self.failing = False
            log.info("the log file is written again")

    def _full(self, length: int) -> bool:
        """Whether a line does not fit any more; an empty file takes any."""
        size = self._size()
        return size > 0 and size + length > self.max_bytes

    def _size(self) -> int:
        """Return how large the file is that bears the name now, opened anew if it is another one."""
        with suppress(FileNotFoundError):
            found = os.stat(self.file)  # noqa: PTH116 - for each line; Path.stat takes three times as long
            if self.number == (found.st_dev, found.st_ino):
                return found.st_size
        return self._reopen()

    def _reopen(self) -> int:
        self._let_go()
        self.descriptor = os.open(self.file, os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC, 0o640)
        found = os.fstat(self.descriptor)
        self.number = found.st_dev, found.st_ino
        return found.st_size

    def _rotate(self, length: int) -> None:
        """Give the file its next name, unless another process is just doing it, or has done it."""
        lock = os.open(Path(self.file).parent, os.O_RDONLY | os.O_CLOEXEC)
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            if self._full(length):
                self._shift()
                self._reopen()
        except BlockingIOError:
            pass
        finally:
            os.close(lock)

    def _shift(self) -> None:
        names = [self.file, *(f"{self.file}.{number}" for number in range(1, self.kept + 1))]
        for older, newer in zip(names[:0:-1], names[-2::-1], strict=True):
            with suppress(FileNotFoundError):
                Path(newer).replace(older)

    def _failed(self, error: OSError) -> None:
        """Say it once, on standard error; said by this handler too, it fails again, and is silent."""
        if not self.failing:
            self.failing = True
            log.error("LOG_TO_FILE cannot be written, lines are on standard error alone: %s", error.strerror)

    def _let_go(self) -> None:
        if self.descriptor >= 0:
            os.close(self.descriptor)
        self.descriptor, self.number = -1, None

    def close(self) -> None:
        """Close the file."""
        self.acquire()
        try:
            self._let_go()
        finally:
            self.release()
        super().close()
