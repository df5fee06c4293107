"""The strength of secrets: thresholds, and an estimate based on what attackers try first.

The estimate detects common, repetitive and word-like values. It cannot prove that a value is strong: a published
secret looks random too.
"""

import math
import re
from typing import NamedTuple

from config import DEVELOPMENT_SECRET_KEY


class Threshold(NamedTuple):
    """Length and estimated bits: below `minimum` a secret fails, below `good` it warrants a warning."""

    minimum_length: int
    good_length: int
    minimum_bits: float
    good_bits: float


KEY = Threshold(32, 32, 80, 112)  # NIST SP 800-57 part 1: 112 bits are sufficient until 2030, 80 no longer
PASSWORD = Threshold(8, 16, 28, 64)  # below the minimum, password lists contain it
MINIMUM_DISTINCT = 10  # different characters in a key

SENTENCE_BITS = 1.5  # per character, at most: Shannon, Prediction and Entropy of Printed English (1951)
SEQUENCES = ("abcdefghijklmnopqrstuvwxyz", "01234567890123456789", "qwertyuiop", "asdfghjkl", "zxcvbnm")
LEET = str.maketrans("013457@$!", "oleastasi")
CHARACTER_SETS = (("[a-z]", 26), ("[A-Z]", 26), ("[0-9]", 10), (r"[!-/:-@\[-`{-~ ]", 33), (r"[^ -~]", 128))
MINIMUM_SEQUENCE = 4  # shorter runs occur by chance

# Values from tutorials, templates and images, reduced to letters and digits.
COMMON = frozenset(
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
NUMBER_SUFFIX = re.compile(r"[0-9]{0,8}$")


def is_trivial_key(key: str) -> bool:
    """Whether the application must refuse to start with this key."""
    return len(key) < KEY.minimum_length or len(set(key)) < MINIMUM_DISTINCT or key == DEVELOPMENT_SECRET_KEY


def is_common(secret: str) -> bool:
    """Whether it is a common value, perhaps with digits for letters or a number at the end."""
    plain = re.sub(r"[^a-z0-9]", "", secret.casefold())
    translated = re.sub(r"[^a-z0-9]", "", secret.casefold().translate(LEET))
    if plain.startswith("djangoinsecure") or secret == DEVELOPMENT_SECRET_KEY:
        return True
    return not {NUMBER_SUFFIX.sub("", plain), translated}.isdisjoint(COMMON | {""})


def estimate_bits(secret: str) -> float:
    """Return the estimated entropy in bits."""
    rest = _collapse_sequences(_collapse_repetition(secret))
    bits = _random_bits(rest)
    return min(bits, SENTENCE_BITS * len(rest)) if looks_like_words(rest) else bits


def looks_like_words(text: str) -> bool:
    """Whether it consists of long runs of letters in one case, with vowels, and few numbers."""
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


def _collapse_repetition(text: str) -> str:
    """Return the part that the text repeats, or the text itself."""
    for length in range(1, len(text) // 2 + 1):
        if text[length:] == text[:-length]:
            return text[:length]
    return text


def _collapse_sequences(text: str) -> str:
    """Return the text with one character for each keyboard or alphabet sequence."""
    plain, collapsed, position = text.casefold(), [], 0
    while position < len(text):
        length = _sequence_length(plain[position:])
        collapsed.append(text[position])
        position += length if length >= MINIMUM_SEQUENCE else 1
    return "".join(collapsed)


def _sequence_length(text: str) -> int:
    sequences = (*SEQUENCES, *(sequence[::-1] for sequence in SEQUENCES))
    lengths = range(min(len(text), 26), 1, -1)
    return next((length for length in lengths if any(text[:length] in sequence for sequence in sequences)), 1)


def _random_bits(text: str) -> float:
    """Return the bits of random characters from the sets in use; a repeated one is drawn from those before it."""
    choices = max(2, sum(size for pattern, size in CHARACTER_SETS if re.search(pattern, text)))
    used: set[str] = set()
    total = 0.0
    for character in text:
        total += math.log2(len(used) if character in used else choices)
        used.add(character)
    return total
