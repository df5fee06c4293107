"""`check`: whether this server is fit for production.

The application looks at its settings and servers, in its image (scripts/check_production.py), and ops at what can be
seen on the server alone (ops/host). Both say it in one form.
"""

from __future__ import annotations

import json

from ops import commands, finding, history
from ops.errors import Failure, Refusal
from ops.finding import FAIL, PASS, WARN, Finding, having
from ops.host import checks
from ops.progress import say
from ops.release import Release
from ops.site import Site

ABSENT = "this release has no scripts/check_production.py, so nobody has added its connections up"
SECONDS = 300  # each check has its own deadline


def check(site: Site, found: Release) -> str:
    """Raise Refusal with what fails, before anything is changed; say what is a warning, and return how many are."""
    compose = site.with_file(found.file).compose if not site.runner.dry else site.compose
    output = site.runner.change(compose.check_production(found.image, "--before-migrating"), timeout=SECONDS)
    if site.runner.dry:
        return ""
    of_release = read(output)
    findings = [*(of_release or []), *checks.in_deploy(site)]
    if failed := having(findings, FAIL):
        raise Refusal("this server is not fit for it:\n" + "\n".join(f"    {each}" for each in failed))
    for each in having(findings, WARN):
        say(f"    {each}")
    return "; ".join([ABSENT] * (of_release is None) + [counted(findings)])


def report(site: Site, *, as_json: bool, strict: bool) -> int:
    """Print what is found of the release that serves and of the server; return 1 if anything fails."""
    findings = [*of_application(site), *checks.findings(site)]
    if as_json:
        say(json.dumps(finding.objects(findings), indent=2))
    else:
        say("\n".join([*map(str, findings), counted(findings)]))
    return int(bool(having(findings, FAIL) or (strict and having(findings, WARN))))


def of_application(site: Site) -> list[Finding]:
    """Let the release that serves look; that it cannot is a finding as well."""
    if not history.releases(history.entries(site.history_file)):
        return [Finding("application", WARN, "nothing was deployed yet.", "python3 -m ops deploy IMAGE@sha256:…")]
    image = site.colour_image(site.serving.colour)
    try:
        site.runner.look(commands.inspect_image(image))  # or Compose would look for it elsewhere, or build it
        found = read(site.runner.look(site.compose.check_production(image), timeout=SECONDS))
    except Failure as failure:
        line = str(failure).strip().splitlines()[-1].strip()
        return [Finding("application", FAIL, f"could not be looked at: {line}.", "python3 -m ops status")]
    return [Finding("application", WARN, f"{ABSENT}.", "Deploy a newer one.")] if found is None else found


def read(output: str) -> list[Finding] | None:
    """Read what the release found; None if it has no check."""
    try:
        found = json.loads(output)
        return None if found is None else [finding.read(each) for each in found]
    except (ValueError, KeyError, TypeError) as error:
        raise Failure(f"{commands.PRODUCTION} did not print a list: {output.strip()[:300]}") from error


def counted(findings: list[Finding]) -> str:
    """Return how many are in each state."""
    return ", ".join(
        f"{len(having(findings, state))} {state}" for state in (PASS, WARN, FAIL) if having(findings, state)
    )
