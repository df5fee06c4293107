"""How hard a secret is to guess: what is known, repeated or made of words is seen; chance is none of these."""

import secrets
import string

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.checks.keys import GOOD_KEY_BITS, GOOD_PASSWORD_BITS, KEY_BITS, PASSWORD_BITS
from app.checks.strength import bits, is_known, reads
from config import DEVELOPMENT_SECRET_KEY

KNOWN = (
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


@pytest.mark.parametrize("text", [*KNOWN, *MORE])
def test_known(text):
    """What tutorials and images come with is known, however it is spelled, and with a number behind it."""
    assert is_known(text)


@pytest.mark.parametrize("text", WEAK)
def test_weak(text):
    """What repeats itself, stands in a row on the keyboard or reads like words signs nothing."""
    assert bits(text) < KEY_BITS


@pytest.mark.parametrize("make", [lambda: secrets.token_urlsafe(48), lambda: secrets.token_hex(32)])
def test_keys_by_chance(make):
    """No key that a generator makes is called weak, known or words."""
    keys = [make() for _ in range(300)]
    assert [key for key in keys if bits(key) < GOOD_KEY_BITS or is_known(key) or reads(key)] == []


def test_passwords_by_chance():
    """Nor is a password, such as `python3 -m ops init` makes."""
    passwords = [secrets.token_urlsafe(32) for _ in range(300)]
    assert [each for each in passwords if bits(each) < GOOD_PASSWORD_BITS or is_known(each)] == []


def test_a_short_password_by_chance():
    """Ten characters by chance are no list's, and not many."""
    alphabet = string.ascii_letters + string.digits
    found = [bits("".join(secrets.choice(alphabet) for _ in range(10))) for _ in range(300)]
    assert sum(PASSWORD_BITS <= each < GOOD_PASSWORD_BITS for each in found) > 280


@given(st.text(max_size=80))
def test_any_text(text):
    """Any text has bits, and no more than its characters could have."""
    assert 0 <= bits(text) <= 8 * len(text)
