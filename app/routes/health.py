"""/health: liveness, readiness and version."""

from typing import Any

from flask import current_app
from marshmallow import Schema, fields

from app.http.openapi import ResourceBlueprint
from app.observability import probes

blp = ResourceBlueprint("health", __name__, url_prefix="/health", description="Liveness, readiness and version.")


class Health(Schema):
    """The process responds."""

    status = fields.String(required=True, metadata={"example": "healthy"})


class Readiness(Schema):
    """The state of the application and of each backend."""

    status = fields.String(required=True, metadata={"example": "ready"})
    checks = fields.Dict(keys=fields.String(), values=fields.String(), required=True)


class Version(Schema):
    """The build."""

    release = fields.String(required=True)
    environment = fields.String(required=True)


@blp.route("")
@blp.response(200, Health)
def alive() -> dict[str, str]:
    """Report that the process is up. Checks no backend, so it fails only if a restart helps."""
    return {"status": "healthy"}


@blp.route("/ready")
@blp.response(200, Readiness)
@blp.alt_response(503, schema=Readiness, description="Do not route requests here", success=False)
def ready() -> tuple[dict[str, Any], int]:
    """Report whether to route requests here, and the state of each backend, within about a second."""
    readiness = probes.check_readiness(current_app._get_current_object())  # type: ignore[attr-defined]  # noqa: SLF001 - Werkzeug documents it
    return {"status": readiness.status, "checks": readiness.checks}, 200 if readiness.is_ready else 503


@blp.route("/version")
@blp.response(200, Version)
def version() -> dict[str, str]:
    """Return the release and the environment."""
    return {"release": current_app.config["RELEASE"], "environment": current_app.config["ENVIRONMENT"]}
