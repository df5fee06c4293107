"""Check that signing keys and the passwords of Postgres and Redis are hard to guess."""

from collections.abc import Iterator

from .context import CheckContext, redis_options
from .finding import Finding, failed, passed, warned
from .strength import KEY, PASSWORD, estimate_bits, is_common, looks_like_words

NEW_KEY = "python -c 'import secrets; print(secrets.token_urlsafe(48))'"
NEW_PASSWORD = "python -c 'import secrets; print(secrets.token_urlsafe(32))'"  # noqa: S105 - how to generate one
OTHER_CREDENTIALS = ("passfile", "sslcert", "service")  # libpq parameters that may replace a password


def check_keys(context: CheckContext) -> Iterator[Finding]:
    """Check SECRET_KEY and its fallbacks."""
    settings = context.settings
    old = {f"SECRET_KEY_FALLBACKS, number {number}": key for number, key in enumerate(settings.SECRET_KEY_FALLBACKS, 1)}
    for name, key in {"SECRET_KEY": settings.SECRET_KEY, **old}.items():
        remedy = f"Generate one: {NEW_KEY}" if name == "SECRET_KEY" else "Remove it: anyone who knows it can sign."
        yield _check_key(name, key, remedy)
    if settings.SECRET_KEY in settings.SECRET_KEY_FALLBACKS:
        yield warned("SECRET_KEY is among its own fallbacks.", "Remove it from SECRET_KEY_FALLBACKS.")


def _check_key(name: str, key: str, remedy: str) -> Finding:
    if is_common(key):
        return failed(f"{name} is a well-known value.", remedy)
    if len(key) < KEY.minimum_length:
        return failed(f"{name} has {len(key)} characters; {KEY.minimum_length} are required.", remedy)
    bits = estimate_bits(key)
    why = "looks like words" if looks_like_words(key) else "is repetitive or short"
    if bits < KEY.good_bits:
        state = failed if bits < KEY.minimum_bits else warned
        return state(f"{name} {why}: about {bits:.0f} bits; {KEY.good_bits} are recommended.", remedy)
    return passed(f"{name} has {len(key)} characters and no visible pattern.")


def check_passwords(context: CheckContext) -> Iterator[Finding]:
    """Check the passwords in the URLs of Postgres and Redis."""
    credentials = find_credentials(context)
    for name, (user, password, has_other) in credentials.items():
        yield _check_password(name, user, password, has_other=has_other)
    given = {(user, password) for user, password, _ in credentials.values() if password}
    if len(given) > len({password for _, password in given}):
        remedy = "Use a different password for each user, so that a leaked one opens nothing else."
        yield failed(f"different users in {', '.join(credentials)} have the same password.", remedy)


def find_credentials(context: CheckContext) -> dict[str, tuple[str, str, bool]]:
    """Return user and password of each URL, and whether it has other credentials."""
    postgres = {
        name: (
            url.username or "",
            str(url.password or url.query.get("password") or ""),
            any(url.query.get(parameter) for parameter in OTHER_CREDENTIALS),
        )
        for name, url in context.databases.items()
    }
    redis = {name: redis_options(url) for name, url in context.redis_servers.items()}
    return postgres | {
        name: (str(url.get("username") or ""), str(url.get("password") or ""), False) for name, url in redis.items()
    }


def _check_password(name: str, user: str, password: str, *, has_other: bool) -> Finding:
    remedy = f"Generate one: {NEW_PASSWORD}"
    if not password and has_other:
        return warned(f"{name} has no password; the check cannot judge its certificate or password file.", remedy)
    if problem := _find_problem(name, user, password):
        return failed(problem, remedy)
    bits = estimate_bits(password)
    if len(password) < PASSWORD.good_length or bits < PASSWORD.good_bits:
        return warned(f"the password in {name} has {len(password)} characters, about {bits:.0f} bits.", remedy)
    return passed(f"the password in {name} has {len(password)} characters and no visible pattern.")


def _find_problem(name: str, user: str, password: str) -> str:
    if not password:
        return f"{name} has no password, so anyone who reaches the server has access."
    if user and password.casefold() == user.casefold():
        return f"the password in {name} is the user name."
    if is_common(password):
        return f"the password in {name} is a well-known value."
    bits = estimate_bits(password)
    if len(password) < PASSWORD.minimum_length or bits < PASSWORD.minimum_bits:
        return f"the password in {name} is easy to guess: {len(password)} characters, about {bits:.0f} bits."
    return ""
