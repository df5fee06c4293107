"""`gate`: what the deploy key may do. It is that key's forced command, so the key is good for nothing else.

    restrict,command="cd /srv/shop && exec python3 -m ops gate" ssh-ed25519 AAAA… deploy

https://man.openbsd.org/sshd#AUTHORIZED_KEYS_FILE_FORMAT
"""

from __future__ import annotations

import re
import shlex

from ops.errors import Refusal

ALLOWED = ("deploy", "rollback", "canary", "promote", "abort", "status", "logs")
WORD = re.compile(r"[A-Za-z0-9@:/._=-]{1,300}")


def arguments(command: str | None) -> list[str]:
    """Return the words of the command that the client asked for; raises Refusal for any that is not one of ours."""
    if not command:
        raise Refusal(f"This key opens no shell. It may: {', '.join(ALLOWED)}.")
    try:
        words = shlex.split(command)
    except ValueError as error:
        raise Refusal(f"The command cannot be read: {error}.") from error
    if not words or words[0] not in ALLOWED:
        raise Refusal(f"This key may not do that. It may: {', '.join(ALLOWED)}.")
    wrong = [word for word in words if not WORD.fullmatch(word)]
    if wrong:
        raise Refusal(f"Not a plain word: {wrong[0]!r}.")
    return words
