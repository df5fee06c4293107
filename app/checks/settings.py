"""Check that the settings are meant for production."""

from collections.abc import Iterator

from .context import CheckContext
from .finding import Finding, failed, passed, warned


def check(context: CheckContext) -> Iterator[Finding]:
    """Check the environment and that debugging aids are off."""
    problems = list(check_name(context))
    yield from problems
    wrong = [setting for setting in ("DEBUG", "TESTING") if context.flask_config[setting]]
    if wrong:
        yield failed(f"{' and '.join(wrong)} is on.", "Remove it from ProductionConfig in config.py.")
    if not problems and not wrong:
        yield passed("FLASK_ENV is production, and debugging is off.")


def check_name(context: CheckContext) -> Iterator[Finding]:
    """Check FLASK_ENV; this works even if the other settings are invalid."""
    name = context.variables.get("FLASK_ENV") or "production"
    if name != "production":
        yield failed(f"FLASK_ENV is {name}.", "Unset it, or set FLASK_ENV=production.")


def check_release(context: CheckContext) -> Iterator[Finding]:
    """Check that the build identifies its commit."""
    release = context.settings.RELEASE
    if release == "unknown":
        remedy = 'Build the image with --build-arg RELEASE="$(git rev-parse HEAD)", or set RELEASE.'
        yield warned("the build does not identify its commit.", remedy)
    else:
        yield passed(f"the release is {release}.")


def check_logs(context: CheckContext) -> Iterator[Finding]:
    """Check that requests are logged as JSON, without debug output."""
    settings = context.settings
    reasons = {
        "LOG_LEVEL": {
            "DEBUG": "libraries' debug output is logged too",
            **dict.fromkeys(("WARNING", "ERROR", "CRITICAL"), "no request is logged"),
        }.get(settings.LOG_LEVEL),
        "LOG_FORMAT": "log collectors cannot parse it" if settings.LOG_FORMAT == "text" else None,
    }
    remedies = {"LOG_LEVEL": "INFO", "LOG_FORMAT": "json"}
    problems = {name: reason for name, reason in reasons.items() if reason}
    for name, reason in problems.items():
        yield warned(f"{name}={getattr(settings, name)}: {reason}.", f"Set {name}={remedies[name]}.")
    if not problems:
        yield passed("one JSON line for each request.")


def check_user(context: CheckContext) -> Iterator[Finding]:
    """Check that the process does not run as root."""
    if context.user == 0:
        yield failed("the application runs as root.", "Run the image unchanged (USER 10001), or set another user.")
    else:
        yield passed(f"the application runs as user {context.user}.")
