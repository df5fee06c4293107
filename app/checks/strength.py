"""How hard a secret is to guess: an estimate, by what is tried first: what is known, repeated, or made of words.

It finds the weak ones. That a value is strong it cannot tell: one that was published somewhere looks random too.
"""

import math
import re

from config import DEVELOPMENT_SECRET_KEY

WRITTEN_BITS = 1.5  # a character of a sentence, at most: Shannon, Prediction and Entropy of Printed English (1951)
ROWS = ("abcdefghijklmnopqrstuvwxyz", "01234567890123456789", "qwertyuiop", "asdfghjkl", "zxcvbnm")
INSTEAD = str.maketrans("013457@$!", "oleastasi")
KINDS = (("[a-z]", 26), ("[A-Z]", 26), ("[0-9]", 10), (r"[!-/:-@\[-`{-~ ]", 33), (r"[^ -~]", 128))  # and how many
IN_ORDER = 4  # characters in a row of those, at least, that are no accident

# What tutorials, templates and images come with, without what stands between the letters and digits.
KNOWN = frozenset(
    """
    admin administrator app changeit changeme changethis default defaultsecret dev development devsecret devsecretkey
    devkey example flask flasksecret flasksecretkey foobar foobared guest hardtoguessstring insecure key letmein mykey
    mypassword mysecret mysecretkey mysecretpassword none null pass passw0rd password placeholder postgres postgresql
    production qwerty qwertyuiop redis replaceme root secret secretkey secretpassword secretstring sosecret supersecret
    supersecretkey test testing testkey thisisasecret thisisasecretkey thisissecret todo topsecret user verysecret
    youcanneverguess youllneverguess yourpassword yoursecretkey yoursecretkeyhere yourpasswordhere youwillneverguess
    asecretkey averysecretkey averylongsecretkey secretkeyhere keepitsecret keepitsecretkeepitsafe fixme
    """.split()  # noqa: SIM905 - as a list it is two screens long
)
NUMBERED = re.compile(r"[0-9]{0,8}$")


def is_known(text: str) -> bool:
    """Whether it is one of those that everybody tries first, with digits for letters, or with a number behind it."""
    plain, spelled = (re.sub(r"[^a-z0-9]", "", each) for each in (text.casefold(), text.casefold().translate(INSTEAD)))
    begins = plain.startswith("djangoinsecure") or text == DEVELOPMENT_SECRET_KEY
    return begins or not {NUMBERED.sub("", plain), spelled}.isdisjoint(KNOWN | {""})


def bits(text: str) -> float:
    """Return how many bits it has, roughly; guessing takes two to the power of that."""
    rest = _without_rows(_once(text))
    return min(_by_chance(rest), WRITTEN_BITS * len(rest)) if reads(rest) else _by_chance(rest)


def reads(text: str) -> bool:
    """Whether it seems to be words: long runs of letters in one case, with vowels among them, and few numbers."""
    letters = re.findall(r"[a-z]", text.casefold())
    runs = re.findall(r"[A-Z]?[a-z]+|[A-Z]+", text)
    vowels = sum(letter in "aeiouy" for letter in letters)
    return (
        len(letters) > 0.6 * len(text)
        and len(letters) >= 3.8 * len(runs)
        and 0.25 * len(letters) < vowels
        and len(re.findall(r"[0-9]+", text)) <= 3
        and not re.search(r"[bcdfghjklmnpqrstvwxz]{5}", text.casefold())
    )


def _once(text: str) -> str:
    """Return what a text repeats, or the text itself."""
    for length in range(1, len(text) // 2 + 1):
        if text[length:] == text[:-length]:
            return text[:length]
    return text


def _without_rows(text: str) -> str:
    """Return a text with one character for what stands in a row on a keyboard or in the alphabet."""
    plain, kept, place = text.casefold(), [], 0
    while place < len(text):
        length = _in_order(plain[place:])
        kept.append(text[place])
        place += length if length >= IN_ORDER else 1
    return "".join(kept)


def _in_order(text: str) -> int:
    rows = (*ROWS, *(row[::-1] for row in ROWS))
    lengths = (length for length in range(min(len(text), 26), 1, -1) if any(text[:length] in row for row in rows))
    return next(lengths, 1)


def _by_chance(text: str) -> float:
    """Return the bits of characters drawn from all of their kinds, and, where they come again, from those before."""
    kinds = max(2, sum(number for pattern, number in KINDS if re.search(pattern, text)))
    seen: set[str] = set()
    total = 0.0
    for character in text:
        total += math.log2(len(seen) if character in seen else kinds)
        seen.add(character)
    return total
