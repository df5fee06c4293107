"""What the application signs with, and the passwords by which it comes in elsewhere, are hard to guess."""

from collections.abc import Iterator

from . import strength
from .finding import Finding, failed, passed, warned
from .production import Production, redis_options

KEY_LENGTH, KEY_BITS, GOOD_KEY_BITS = 32, 80, 112  # NIST SP 800-57 part 1: 112 bits until 2030, 80 no more
PASSWORD_LENGTH, PASSWORD_BITS = 8, 28  # below that a list of passwords has it
GOOD_PASSWORD_LENGTH, GOOD_PASSWORD_BITS = 16, 64
NEW_KEY = "python -c 'import secrets; print(secrets.token_urlsafe(48))'"
NEW_PASSWORD = "python -c 'import secrets; print(secrets.token_urlsafe(32))'"  # noqa: S105 - how to make one
ELSEWHERE = ("passfile", "sslcert", "service")  # how else a client of Postgres can say who it is


def check_keys(production: Production) -> Iterator[Finding]:
    """Look at SECRET_KEY, and at the old ones that still count."""
    settings = production.settings
    old = {f"SECRET_KEY_FALLBACKS, number {number}": key for number, key in enumerate(settings.SECRET_KEY_FALLBACKS, 1)}
    for name, key in {"SECRET_KEY": settings.SECRET_KEY, **old}.items():
        remedy = f"Make one: {NEW_KEY}" if name == "SECRET_KEY" else "Take it out: whoever knows it can still sign."
        yield _key(name, key, remedy)
    if settings.SECRET_KEY in settings.SECRET_KEY_FALLBACKS:
        yield warned("SECRET_KEY is among its own fallbacks.", "Take it out of SECRET_KEY_FALLBACKS.")


def _key(name: str, key: str, remedy: str) -> Finding:
    found = strength.bits(key)
    if strength.is_known(key):
        return failed(f"{name} is a value that everybody knows.", remedy)
    if len(key) < KEY_LENGTH:
        return failed(f"{name} has {len(key)} characters; {KEY_LENGTH} are needed.", remedy)
    if found < KEY_BITS:
        return failed(f"{name} {_why(key)}: about {found:.0f} bits, and {GOOD_KEY_BITS} are good.", remedy)
    if found < GOOD_KEY_BITS:
        return warned(f"{name} {_why(key)}: about {found:.0f} bits, and {GOOD_KEY_BITS} are good.", remedy)
    return passed(f"{name} has {len(key)} characters, and no pattern that is seen.")


def _why(text: str) -> str:
    return "reads like words" if strength.reads(text) else "repeats itself, or is short"


def check_passwords(production: Production) -> Iterator[Finding]:
    """Look at the passwords in the URLs of Postgres and Redis."""
    known = passwords(production)
    for name, (user, password, elsewhere) in known.items():
        yield _password(name, user, password, elsewhere=elsewhere)
    given = {(user, password) for user, password, _ in known.values() if password}
    if len(given) > len({password for _, password in given}):
        remedy = "Give each user its own: who learns one password must not have the others."
        yield failed(f"of {', '.join(known)}, different users have the same password.", remedy)


def passwords(production: Production) -> dict[str, tuple[str, str, bool]]:
    """Return user and password of each URL, and whether the client may say by other means who it is."""
    postgres = {
        name: (
            url.username or "",
            str(url.password or url.query.get("password") or ""),
            any(url.query.get(each) for each in ELSEWHERE),
        )
        for name, url in production.databases.items()
    }
    redis = {name: redis_options(url) for name, url in production.redis_servers.items()}
    return postgres | {
        name: (str(url.get("username") or ""), str(url.get("password") or ""), False) for name, url in redis.items()
    }


def _password(name: str, user: str, password: str, *, elsewhere: bool) -> Finding:
    remedy = f"Make one: {NEW_PASSWORD}"
    if not password and elsewhere:
        return warned(f"{name} has no password; what stands for it, a certificate or a file, cannot be judged.", remedy)
    if fault := _fault(name, user, password):
        return failed(fault, remedy)
    found = strength.bits(password)
    if len(password) < GOOD_PASSWORD_LENGTH or found < GOOD_PASSWORD_BITS:
        return warned(f"the password in {name} has {len(password)} characters, about {found:.0f} bits.", remedy)
    return passed(f"the password in {name} has {len(password)} characters, and no pattern that is seen.")


def _fault(name: str, user: str, password: str) -> str:
    if not password:
        return f"{name} has no password, so whoever reaches the server comes in as well."
    if user and password.casefold() == user.casefold():
        return f"the password in {name} is the user's own name."
    if strength.is_known(password):
        return f"the password in {name} is one that everybody knows."
    found = strength.bits(password)
    if len(password) < PASSWORD_LENGTH or found < PASSWORD_BITS:
        return f"the password in {name} is soon guessed: {len(password)} characters, about {found:.0f} bits."
    return ""
