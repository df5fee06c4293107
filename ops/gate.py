"""`gate`: what the deploy key may do. It is that key's forced command, so the key is good for nothing else.

    restrict,command="cd /srv/shop && exec python3 -m ops gate" ssh-ed25519 AAAA… deploy

https://man.openbsd.org/sshd#AUTHORIZED_KEYS_FILE_FORMAT
"""

from __future__ import annotations

import re
import shlex

from ops import fetch
from ops.errors import Refusal
from ops.site import Site

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


def refuse_foreign(site: Site, image: str) -> None:
    """Raise Refusal for an image that this key may not bring, for a release's own ops runs here with all its rights.

    What is signed is checked when it is fetched; without a key for that, only the server's own repository will do.
    """
    ours = site.repository
    if ours and image.partition("@")[0] != ours:
        raise Refusal(f"This key may bring images of {ours} only (IMAGE_REPOSITORY in .env).")
    if not ours and not fetch.signing_key(site):
        raise Refusal(
            "This key may bring nothing yet: anybody's image would do, and it runs here. Put the public key that "
            "images are signed with into secrets/cosign.pub, or the repository's name into .env, as IMAGE_REPOSITORY."
        )
