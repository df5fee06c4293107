"""Makes every check, each within a deadline, and lets no secret into what is said."""

from collections.abc import Iterator
from concurrent.futures import Future
from dataclasses import replace
from threading import Thread

import psycopg2
import redis
from sqlalchemy.exc import SQLAlchemyError

from config import ConfigError

from . import settings
from .checks import CHECKS, POSTGRES, Check
from .finding import FAIL, WARN, Finding, failed
from .production import Production

DEADLINE = 10.0  # seconds for a check; each wait in it has a shorter one, but for a resolver's
SHORT = 8  # characters; a shorter secret may be a part of any word, and is told of as one that is soon guessed
AWAY = (psycopg2.Error, redis.RedisError, SQLAlchemyError, OSError, ValueError)


def findings(production: Production) -> list[Finding]:
    """Make every check; without settings that can be used there is none to make."""
    try:
        _ = production.settings, production.web
    except (ConfigError, SystemExit) as error:
        named = [failed(line, ".env.example explains it.") for line in problems(str(error))]
        return [replace(each, check="settings") for each in (*settings.check_name(production), *named)]
    return [hidden(finding, production) for check in CHECKS for finding in within_deadline(check, production)]


def problems(text: str) -> Iterator[str]:
    """Return each setting that cannot be used, with its remedy."""
    lines = text.splitlines()
    yield from (line.strip() for line in lines[1:-1] or lines)


def within_deadline(check: Check, production: Production) -> list[Finding]:
    """Make a check; one that cannot be made, or takes too long, fails."""
    done: Future[list[Finding]] = Future()
    Thread(target=_make, args=(check, production, done), daemon=True).start()
    try:
        found = done.result(DEADLINE)
    except TimeoutError:
        found = [failed(f"was not done within {DEADLINE:.0f} s.", _where(check, production))]
    return [replace(finding, check=check.name) for finding in found]


def _make(check: Check, production: Production, done: "Future[list[Finding]]") -> None:
    try:
        done.set_result(list(check.look(production)))
    except AWAY as error:
        done.set_result([failed(f"could not be looked at: {_line(error)}.", _where(check, production))])
    except BaseException as error:  # noqa: BLE001 - it is this check's, and the others are made all the same
        done.set_result([failed(f"could not be looked at: {type(error).__name__}.", "This is a fault of the check.")])


def _line(error: Exception) -> str:
    cause = getattr(error, "orig", None) or error
    return (str(cause).strip() or type(cause).__name__).splitlines()[0].rstrip(".")


def _where(check: Check, production: Production) -> str:
    if not check.asks:
        return "See docs/production-check.md."
    redis_hosts = [production.host_of(url) for url in production.redis_servers.values()]
    hosts = production.hosts if check.asks == POSTGRES else redis_hosts
    return f"Does {' and does '.join(hosts)} answer? docker compose ps"


def hidden(finding: Finding, production: Production) -> Finding:
    """Return the finding without a secret, should a server's message have one."""
    reason, remedy = finding.reason, finding.remedy
    for secret in production.secrets:
        if len(secret) >= SHORT:
            reason, remedy = reason.replace(secret, "***"), remedy.replace(secret, "***")
    return replace(finding, reason=reason, remedy=remedy)


def code(found: list[Finding], *, strict: bool) -> int:
    """Return the exit code: 1 where something fails, or, strictly, is worth a warning."""
    bad = {FAIL, WARN} if strict else {FAIL}
    return int(any(finding.state in bad for finding in found))
