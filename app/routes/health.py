"""Three questions that operations ask: is the process up, should it get requests, which build is it."""

from typing import Any

from flask import current_app
from marshmallow import Schema, fields

from app.http.openapi import ResourceBlueprint
from app.observability import probes

blp = ResourceBlueprint("health", __name__, url_prefix="/health", description="For load balancers and people on call.")


class Health(Schema):
    """The process answers."""

    status = fields.String(required=True, metadata={"example": "healthy"})


class Readiness(Schema):
    """What the probes saw."""

    status = fields.String(required=True, metadata={"example": "ready"})
    checks = fields.Dict(keys=fields.String(), values=fields.String(), required=True)


class Version(Schema):
    """The build."""

    release = fields.String(required=True)
    environment = fields.String(required=True)


@blp.route("")
@blp.response(200, Health)
def alive() -> dict[str, str]:
    """Say that the process is up; touches nothing, so it fails only when a restart would help."""
    return {"status": "healthy"}


@blp.route("/ready")
@blp.response(200, Readiness)
@blp.alt_response(503, schema=Readiness, description="Send no requests here", success=False)
def ready() -> tuple[dict[str, Any], int]:
    """Say whether requests should be sent here, and what each backend's state is, in about a second at most."""
    report = probes.report(current_app._get_current_object())  # type: ignore[attr-defined]  # noqa: SLF001
    return {"status": report.status, "checks": report.checks}, 200 if report.ready else 503


@blp.route("/version")
@blp.response(200, Version)
def version() -> dict[str, str]:
    """Say which release runs."""
    return {"release": current_app.config["RELEASE"], "environment": current_app.config["ENVIRONMENT"]}
