"""The settings can be used, and they are those of production."""

from collections.abc import Iterator

from .finding import Finding, failed, passed, warned
from .production import Production


def check(production: Production) -> Iterator[Finding]:
    """See that this is production, with nothing on that helps whoever develops."""
    found = list(check_name(production))
    yield from found
    wrong = [setting for setting in ("DEBUG", "TESTING") if production.flask_config[setting]]
    if wrong:
        yield failed(f"{' and '.join(wrong)} is on.", "Take it out of ProductionConfig in config.py.")
    if not found and not wrong:
        yield passed("FLASK_ENV is production, and no debugger is on.")


def check_name(production: Production) -> Iterator[Finding]:
    """See that it is meant to be production: this alone can be said where the settings cannot be used."""
    name = production.variables.get("FLASK_ENV") or "production"
    if name != "production":
        yield failed(f"FLASK_ENV is {name}.", "Leave it out, or set FLASK_ENV=production.")


def check_release(production: Production) -> Iterator[Finding]:
    """See that the build can be told from others."""
    release = production.settings.RELEASE
    if release == "unknown":
        remedy = 'Build the image with --build-arg RELEASE="$(git rev-parse HEAD)", or set RELEASE.'
        yield warned("nobody can tell which build this is.", remedy)
    else:
        yield passed(f"this is {release}.")


def check_logs(production: Production) -> Iterator[Finding]:
    """See that requests are logged, for machines, and nothing else is."""
    settings = production.settings
    faults = {
        "LOG_LEVEL": {
            "DEBUG": "what libraries write for whoever develops them is logged too",
            **dict.fromkeys(("WARNING", "ERROR", "CRITICAL"), "no request is logged"),
        }.get(settings.LOG_LEVEL),
        "LOG_FORMAT": "lines are for people, and what collects them cannot read them" * (settings.LOG_FORMAT == "text"),
    }
    remedies = {"LOG_LEVEL": "INFO", "LOG_FORMAT": "json"}
    found = {name: why for name, why in faults.items() if why}
    for name, why in found.items():
        yield warned(f"{name}={getattr(settings, name)}: {why}.", f"Set {name}={remedies[name]}.")
    if not found:
        yield passed("a JSON line for each request.")


def check_user(production: Production) -> Iterator[Finding]:
    """See that who gets into the process is not root."""
    if production.user == 0:
        yield failed(
            "the application runs as root.", "Run the image as it is built (USER 10001), or name another user."
        )
    else:
        yield passed(f"the application runs as user {production.user}.")
