"""The cookie of a session is sent by TLS alone, to this host alone, and no script reads it.

Nothing here has a session yet (app/http/proxy.py); it holds for the day when something has.
"""

from collections.abc import Iterator

from .finding import Finding, failed, passed, warned
from .production import Production

HOST = "__Host-"  # such a cookie a browser takes by TLS only, and no other host can set it: RFC 6265bis, 4.1.3.2


def check(production: Production) -> Iterator[Finding]:
    """Look at the values that Flask would use."""
    config = production.flask_config
    found = [*_faults(config["SESSION_COOKIE_NAME"], config), *_leaks(config)]
    yield from found
    if not found:
        yield passed(
            f"{config['SESSION_COOKIE_NAME']}: Secure, HttpOnly, SameSite={config['SESSION_COOKIE_SAMESITE']}."
        )


def _leaks(config: dict[str, object]) -> Iterator[Finding]:
    for name, why in {
        "SESSION_COOKIE_SECURE": "it would go in the clear too",
        "SESSION_COOKIE_HTTPONLY": "a script could read it",
    }.items():
        if not config[name]:
            yield failed(f"{name} is off: {why}.", f"Set {name} = True in ProductionConfig (config.py).")


def _faults(name: str, config: dict[str, object]) -> Iterator[Finding]:
    site = config["SESSION_COOKIE_SAMESITE"]
    if site not in {"Lax", "Strict"}:
        remedy = 'Set SESSION_COOKIE_SAMESITE = "Lax" in ProductionConfig (config.py).'
        yield warned(f"SESSION_COOKIE_SAMESITE is {site}: other sites' pages send it along.", remedy)
    narrowed = config["SESSION_COOKIE_DOMAIN"] or config["SESSION_COOKIE_PATH"] not in {None, "/"}
    if narrowed and name.startswith(HOST):
        remedy = "Take SESSION_COOKIE_DOMAIN and SESSION_COOKIE_PATH out."
        yield failed(f"no browser takes {name} with a domain or a path.", remedy)
    elif not name.startswith(HOST):
        remedy = f'Set SESSION_COOKIE_NAME = "{HOST}session" in ProductionConfig (config.py).'
        yield warned(f"SESSION_COOKIE_NAME is {name}: a host beside this one could set it.", remedy)
