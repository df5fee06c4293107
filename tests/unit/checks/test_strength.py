"""The estimate detects common, repetitive and word-like secrets, and accepts random ones."""

import secrets
import string

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.checks.strength import KEY, PASSWORD, estimate_bits, is_common, looks_like_words
from config import DEVELOPMENT_SECRET_KEY

COMMON = (
    "dev",
    "secret",
    "changeme",
    "CHANGE_ME",
    "change-me",
    "Password1",
    "password123",
    "postgres",
    "S3cr3t",
    "Pa$$w0rd",
)
MORE = ("you-will-never-guess", "your_secret_key_here", "django-insecure-abc", "12345678", "", DEVELOPMENT_SECRET_KEY)
WEAK = (
    "correct-horse-battery-staple-again",
    "this-is-a-very-long-secret-key-for-my-application",
    "MySuperSecretKeyForProduction2024!",
    "0123456789abcdef0123456789abcdef",
    "12345678901234567890123456789012",
    "abcdefghijklmnopqrstuvwxyz0123456789",
    "qwertyuiopasdfghjklzxcvbnm123456",
    "x7Gq" * 12,
    "a" * 64,
    "ab" * 32,
)


@pytest.mark.parametrize("text", [*COMMON, *MORE])
def test_common(text):
    """Common values are detected in any spelling, and with a number at the end."""
    assert is_common(text)


@pytest.mark.parametrize("text", WEAK)
def test_weak(text):
    """Repetitions, keyboard sequences and words are too weak for a key."""
    assert estimate_bits(text) < KEY.minimum_bits


@pytest.mark.parametrize("make", [lambda: secrets.token_urlsafe(48), lambda: secrets.token_hex(32)])
def test_random_keys(make):
    """Generated keys are never reported as weak, common or word-like."""
    keys = [make() for _ in range(300)]
    assert [key for key in keys if estimate_bits(key) < KEY.good_bits or is_common(key) or looks_like_words(key)] == []


def test_random_passwords():
    """Generated passwords, as `python3 -m ops init` makes them, are never reported as weak or common."""
    passwords = [secrets.token_urlsafe(32) for _ in range(300)]
    assert [each for each in passwords if estimate_bits(each) < PASSWORD.good_bits or is_common(each)] == []


def test_short_random_password():
    """Ten random characters are between the two thresholds."""
    alphabet = string.ascii_letters + string.digits
    found = [estimate_bits("".join(secrets.choice(alphabet) for _ in range(10))) for _ in range(300)]
    assert sum(PASSWORD.minimum_bits <= each < PASSWORD.good_bits for each in found) > 280


@given(st.text(max_size=80))
def test_any_text(text):
    """The estimate of any text is between 0 and 8 bits for each character."""
    assert 0 <= estimate_bits(text) <= 8 * len(text)
