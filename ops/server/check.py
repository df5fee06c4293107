"""`check`: whether this server is fit for production.

The application looks at its settings and servers, in its image (scripts/check_production.py), and ops at what can be
seen on the server alone (ops/host). Both say it in one form.
"""

from __future__ import annotations

import json

from ops.docker import commands
from ops.docker.compose import CHECK_SCRIPT
from ops.errors import OpsError, PreconditionError
from ops.progress import echo
from ops.release import history
from ops.release.colours import Release
from ops.server import Server
from ops.server.checks import finding, registry
from ops.server.checks.finding import FAIL, PASS, WARN, Finding, having

ABSENT = "this release has no scripts/check_production.py, so nobody has added its connections up"
SECONDS = 300  # each check has its own deadline


def check(server: Server, found: Release) -> str:
    """Print warnings and return the counts; raises PreconditionError if a check fails."""
    compose = server.with_file(found.file).compose if not server.runner.dry else server.compose
    output = server.runner.execute(compose.check_production(found.image, "--before-migrating"), timeout=SECONDS)
    if server.runner.dry:
        return ""
    of_release = read(output)
    findings = [*(of_release or []), *registry.in_deploy(server)]
    if failed := having(findings, FAIL):
        raise PreconditionError("this server is not fit for it:\n" + "\n".join(f"    {each}" for each in failed))
    for each in having(findings, WARN):
        echo(f"    {each}")
    return "; ".join([ABSENT] * (of_release is None) + [counted(findings)])


def report(server: Server, *, as_json: bool, strict: bool) -> int:
    """Print what is found of the release that serves and of the server; return 1 if anything fails."""
    findings = [*of_application(server), *registry.findings(server)]
    if as_json:
        echo(json.dumps(finding.objects(findings), indent=2))
    else:
        echo("\n".join([*map(str, findings), counted(findings)]))
    return int(bool(having(findings, FAIL) or (strict and having(findings, WARN))))


def of_application(server: Server) -> list[Finding]:
    """Let the release that serves look; that it cannot is a finding as well."""
    if not history.releases(history.entries(server.history_file)):
        return [Finding("application", WARN, "nothing was deployed yet.", "python3 -m ops deploy IMAGE@sha256:…")]
    image = server.colour_image(server.traffic.colour)
    try:
        server.runner.query(commands.inspect_image(image))  # or Compose would look for it elsewhere, or build it
        found = read(server.runner.query(server.compose.check_production(image), timeout=SECONDS))
    except OpsError as failure:
        line = str(failure).strip().splitlines()[-1].strip()
        return [Finding("application", FAIL, f"could not be looked at: {line}.", "python3 -m ops status")]
    return [Finding("application", WARN, f"{ABSENT}.", "Deploy a newer one.")] if found is None else found


def read(output: str) -> list[Finding] | None:
    """Read what the release found; None if it has no check."""
    try:
        found = json.loads(output)
        return None if found is None else [finding.read(each) for each in found]
    except (ValueError, KeyError, TypeError) as error:
        raise OpsError(f"{CHECK_SCRIPT} did not print a list: {output.strip()[:300]}") from error


def counted(findings: list[Finding]) -> str:
    """Return how many are in each state."""
    return ", ".join(
        f"{len(having(findings, state))} {state}" for state in (PASS, WARN, FAIL) if having(findings, state)
    )
