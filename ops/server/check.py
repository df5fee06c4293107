"""`check`: whether this server is fit for production.

The application checks its settings and backends, in its image (scripts/check_production.py). ops/server/checks/ checks
the server itself.
"""

from __future__ import annotations

import json

from ops.docker import commands
from ops.docker.compose import CHECK_SCRIPT
from ops.errors import OpsError, PreconditionError
from ops.progress import echo
from ops.release import history
from ops.release.bundle import Release
from ops.server import Server
from ops.server.checks import finding, registry
from ops.server.checks.finding import FAIL, PASS, WARN, Finding, in_state

NO_SCRIPT = f"this release has no {CHECK_SCRIPT}, so its connections are unknown"
TIMEOUT_S = 300  # each check has its own deadline


def check(server: Server, found: Release) -> str:
    """Check a release before its deploy: print warnings, return the counts; raises PreconditionError on a failure."""
    compose = server.with_file(found.file).compose
    output = server.runner.execute(compose.check_production(found.image, "--before-migrating"), TIMEOUT_S, assumed="[]")
    of_release = parse(output)
    findings = [*(of_release or []), *registry.run_deploy_checks(server)]
    if failed := in_state(findings, FAIL):
        raise PreconditionError(
            "this server is not fit for the release:\n" + "\n".join(f"    {each}" for each in failed)
        )
    for each in in_state(findings, WARN):
        echo(f"    {each}")
    return "; ".join([NO_SCRIPT] * (of_release is None) + [count(findings)])


def report(server: Server, *, as_json: bool, strict: bool) -> int:
    """Check the live release and the server and print the findings; return 1 on a failure."""
    findings = [*check_application(server), *registry.run_all(server)]
    if as_json:
        echo(json.dumps(finding.to_json(findings), indent=2))
    else:
        echo("\n".join([*map(str, findings), count(findings)]))
    return int(bool(in_state(findings, FAIL) or (strict and in_state(findings, WARN))))


def check_application(server: Server) -> list[Finding]:
    """Run the live release's own check; a failure to run it is a finding too."""
    if not history.releases(history.entries(server.history_file)):
        return [Finding("application", WARN, "nothing is deployed yet.", "python3 -m ops deploy IMAGE@sha256:…")]
    image = server.colour_image(server.traffic.colour)
    try:
        server.runner.query(commands.inspect_image(image))  # or Compose would pull or build it
        found = parse(server.runner.query(server.compose.check_production(image), timeout=TIMEOUT_S))
    except OpsError as failure:
        line = str(failure).strip().splitlines()[-1].strip()
        return [Finding("application", FAIL, f"the check failed to run: {line}.", "python3 -m ops status")]
    return [Finding("application", WARN, f"{NO_SCRIPT}.", "Deploy a newer one.")] if found is None else found


def parse(output: str) -> list[Finding] | None:
    """Parse the release's findings; None if it has no check."""
    try:
        found = json.loads(output)
        return None if found is None else [finding.from_json(each) for each in found]
    except (ValueError, KeyError, TypeError) as error:
        raise OpsError(f"{CHECK_SCRIPT} printed no list of findings: {output.strip()[:300]}") from error


def count(findings: list[Finding]) -> str:
    """Return the number of findings in each state."""
    counts = [(len(in_state(findings, state)), state) for state in (PASS, WARN, FAIL)]
    return ", ".join(f"{number} {state}" for number, state in counts if number)
