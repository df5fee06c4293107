"""What goes wrong in the tests: a command that fails, and a process that is killed."""


class Killed(BaseException):
    """What kill -9 is: nobody can catch it, so nothing is put back."""


class CommandError(Exception):
    """A command ends with 1 and says this."""


def failing(text, times=1, after=0):
    """Return a hook that lets the first commands with a text fail, but for so many before them."""
    left = [False] * after + [True] * times

    def fail(argv):
        if left and text in " ".join(argv) and left.pop(0):
            raise CommandError("it is broken")

    return fail
