"""Injected faults: failing commands and kills."""


class Killed(BaseException):
    """A kill -9, which no handler catches."""


class CommandError(Exception):
    """A command exits with 1 and this output."""


def failing(text, times=1, after=0):
    """Return a hook that fails the first TIMES commands with a text, after AFTER successful ones."""
    left = [False] * after + [True] * times

    def fail(argv):
        if left and text in " ".join(argv) and left.pop(0):
            raise CommandError("it is broken")

    return fail
