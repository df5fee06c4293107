"""Check that a session cookie would be Secure, HttpOnly and limited to this host.

The application has no sessions yet (app/http/sessions.py); the settings are ready for the first one.
"""

from collections.abc import Iterator

from .context import CheckContext
from .finding import Finding, failed, passed, warned

HOST_PREFIX = "__Host-"  # browsers accept it only over TLS, and no other host can set it: RFC 6265bis, 4.1.3.2


def check(context: CheckContext) -> Iterator[Finding]:
    """Check the values that Flask would use."""
    config = context.flask_config
    problems = [*_check_scope(config["SESSION_COOKIE_NAME"], config), *_check_flags(config)]
    yield from problems
    if not problems:
        yield passed(
            f"{config['SESSION_COOKIE_NAME']}: Secure, HttpOnly, SameSite={config['SESSION_COOKIE_SAMESITE']}."
        )


def _check_flags(config: dict[str, object]) -> Iterator[Finding]:
    for name, why in {
        "SESSION_COOKIE_SECURE": "browsers would also send it unencrypted",
        "SESSION_COOKIE_HTTPONLY": "scripts could read it",
    }.items():
        if not config[name]:
            yield failed(f"{name} is off: {why}.", f"Set {name} = True in ProductionConfig (config.py).")


def _check_scope(name: str, config: dict[str, object]) -> Iterator[Finding]:
    same_site = config["SESSION_COOKIE_SAMESITE"]
    if same_site not in {"Lax", "Strict"}:
        remedy = 'Set SESSION_COOKIE_SAMESITE = "Lax" in ProductionConfig (config.py).'
        yield warned(f"SESSION_COOKIE_SAMESITE is {same_site}: requests from other sites carry it.", remedy)
    scoped = config["SESSION_COOKIE_DOMAIN"] or config["SESSION_COOKIE_PATH"] not in {None, "/"}
    if scoped and name.startswith(HOST_PREFIX):
        remedy = "Remove SESSION_COOKIE_DOMAIN and SESSION_COOKIE_PATH."
        yield failed(f"browsers reject {name} with a domain or a path.", remedy)
    elif not name.startswith(HOST_PREFIX):
        remedy = f'Set SESSION_COOKIE_NAME = "{HOST_PREFIX}session" in ProductionConfig (config.py).'
        yield warned(f"SESSION_COOKIE_NAME is {name}: another host of the domain could set it.", remedy)
