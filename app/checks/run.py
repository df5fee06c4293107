"""Run all checks, each with a timeout, and redact secrets from the findings."""

from collections.abc import Iterator
from concurrent.futures import Future
from dataclasses import replace
from threading import Thread

import psycopg2
import redis
from sqlalchemy.exc import SQLAlchemyError

from config import ConfigError

from . import settings
from .context import CheckContext
from .finding import FAIL, WARN, Finding, failed
from .registry import CHECKS, POSTGRES, Check

TIMEOUT_S = 10.0  # for a check; each wait in it has a shorter timeout, except for name resolution
REDACT_LENGTH = 8  # a shorter secret may be part of any word; the check of passwords reports it as easy to guess
EXPECTED_ERRORS = (psycopg2.Error, redis.RedisError, SQLAlchemyError, OSError, ValueError)


def run_checks(context: CheckContext) -> list[Finding]:
    """Run all checks; if the settings are invalid, report only the invalid ones."""
    try:
        _ = context.settings, context.web
    except (ConfigError, SystemExit) as error:
        invalid = [failed(line, ".env.example explains it.") for line in invalid_settings(str(error))]
        return [replace(finding, check="settings") for finding in (*settings.check_name(context), *invalid)]
    return [redact(finding, context) for check in CHECKS for finding in run_with_timeout(check, context)]


def invalid_settings(text: str) -> Iterator[str]:
    """Yield the lines of a ConfigError that name a variable."""
    lines = text.splitlines()
    yield from (line.strip() for line in lines[1:-1] or lines)


def run_with_timeout(check: Check, context: CheckContext) -> list[Finding]:
    """Run a check; an error or a timeout is a failure."""
    result: Future[list[Finding]] = Future()
    Thread(target=_run, args=(check, context, result), daemon=True).start()
    try:
        findings = result.result(TIMEOUT_S)
    except TimeoutError:
        findings = [failed(f"timed out after {TIMEOUT_S:.0f} s.", _diagnosis(check, context))]
    return [replace(finding, check=check.name) for finding in findings]


def _run(check: Check, context: CheckContext, result: "Future[list[Finding]]") -> None:
    try:
        result.set_result(list(check.run(context)))
    except EXPECTED_ERRORS as error:
        result.set_result([failed(f"could not be checked: {_line(error)}.", _diagnosis(check, context))])
    except BaseException as error:  # noqa: BLE001 - one broken check must not stop the others
        result.set_result([failed(f"could not be checked: {type(error).__name__}.", "This is a bug in the check.")])


def _line(error: Exception) -> str:
    cause = getattr(error, "orig", None) or error
    return (str(cause).strip() or type(cause).__name__).splitlines()[0].rstrip(".")


def _diagnosis(check: Check, context: CheckContext) -> str:
    if not check.requires:
        return "See docs/production-check.md."
    redis_hosts = [context.host_of(url) for url in context.redis_servers.values()]
    hosts = context.hosts if check.requires == POSTGRES else redis_hosts
    return f"Is {' and '.join(hosts)} up? docker compose ps"


def redact(finding: Finding, context: CheckContext) -> Finding:
    """Replace secrets in the finding, in case a server's message contains one."""
    reason, remedy = finding.reason, finding.remedy
    for secret in context.secrets:
        if len(secret) >= REDACT_LENGTH:
            reason, remedy = reason.replace(secret, "***"), remedy.replace(secret, "***")
    return replace(finding, reason=reason, remedy=remedy)


def exit_code(findings: list[Finding], *, strict: bool) -> int:
    """Return 1 if a check failed or, with STRICT, warned."""
    failures = {FAIL, WARN} if strict else {FAIL}
    return int(any(finding.state in failures for finding in findings))
