"""The forced command of the deploy key: the key can run release commands and nothing else.

    restrict,command="cd /srv/shop && exec python3 -m ops forced-command" ssh-ed25519 AAAA… deploy

https://man.openbsd.org/sshd#AUTHORIZED_KEYS_FILE_FORMAT
"""

from __future__ import annotations

import re
import shlex

from ops.errors import PreconditionError
from ops.release import fetch
from ops.server import Server

ALLOWED = ("deploy", "rollback", "canary", "promote", "abort", "status", "logs")
WORD = re.compile(r"[A-Za-z0-9@:/._=-]{1,300}")


def arguments(command: str | None) -> list[str]:
    """Return the command that the client requested; raises PreconditionError unless it is allowed."""
    if not command:
        raise PreconditionError(f"This key opens no shell. Allowed: {', '.join(ALLOWED)}.")
    try:
        argv = shlex.split(command)
    except ValueError as error:
        raise PreconditionError(f"The command cannot be parsed: {error}.") from error
    if not argv or argv[0] not in ALLOWED:
        raise PreconditionError(f"This command is not allowed. Allowed: {', '.join(ALLOWED)}.")
    wrong = [word for word in argv if not WORD.fullmatch(word)]
    if wrong:
        raise PreconditionError(f"Invalid argument: {wrong[0]!r}.")
    return argv


def require_trusted(server: Server, image: str) -> None:
    """Raise PreconditionError for an image that this key may not deploy: its ops runs here with full rights.

    `fetch` checks signatures; without a key to check them, only images of IMAGE_REPOSITORY are allowed.
    """
    ours = server.repository
    if ours and image.partition("@")[0] != ours:
        raise PreconditionError(f"This key may deploy images of {ours} only (IMAGE_REPOSITORY in .env).")
    if not ours and not fetch.signing_key(server):
        raise PreconditionError(
            "This key may not deploy yet, since images run here with full rights. Put the key that verifies their "
            "signatures into secrets/cosign.pub, or set IMAGE_REPOSITORY in .env."
        )
