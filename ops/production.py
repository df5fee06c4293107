"""A release's own look at the server, with the settings that it would run with (scripts/check_production.py)."""

from __future__ import annotations

import json
from typing import Any

from ops import commands
from ops.errors import Failure, Refusal
from ops.release import Release
from ops.site import Site

ABSENT = "this release has no scripts/check_production.py, so nobody has added its connections up"

Finding = dict[str, Any]


def check(site: Site, found: Release) -> str:
    """Raise Refusal with what fails, before anything is changed; return what it warns of."""
    compose = site.with_file(found.file).compose if not site.runner.dry else site.compose
    output = site.runner.change(compose.check_production(found.image))
    if site.runner.dry:
        return ""
    findings = read(output)
    failed = lines(findings or [], "FAIL")
    if failed:
        raise Refusal("this server is not fit for it:\n" + "\n".join(f"    {line}" for line in failed))
    return ABSENT if findings is None else "; ".join(lines(findings, "WARN"))


def read(output: str) -> list[Finding] | None:
    """Read what the release found; None if it has no check."""
    try:
        findings: list[Finding] | None = json.loads(output)
    except ValueError as error:
        raise Failure(f"{commands.PRODUCTION} did not print a list: {output.strip()[:300]}") from error
    return findings


def lines(findings: list[Finding], state: str) -> list[str]:
    """Return a line for each finding in a state."""
    found = [each for each in findings if each["state"] == state]
    return [" ".join(f"{state} {each['check']}: {each['reason']} {each['remedy']}".split()) for each in found]
