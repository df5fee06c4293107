"""Error tracking: off unless SENTRY_DSN is set; no personal data, and the request's id on every event."""

from typing import Any

from flask import Flask, g

OFF = {"mode": "off"}
NOTHING = {
    "user_info": False,
    "cookies": OFF,
    "http_headers": {"request": OFF},  # Referer has the query string of the page before
    "http_bodies": [],
    "url_query_params": OFF,
    "database_query_data": False,
    "queues": False,
    "stack_frame_variables": False,  # a frame's locals hold passwords and database URLs
}


def init_app(app: Flask) -> None:
    """Start the Sentry client when it is configured. The import alone costs a third of a start, so it waits."""
    if not app.config["SENTRY_DSN"]:
        return
    import sentry_sdk  # noqa: PLC0415

    sentry_sdk.init(**options(app.config))
    app.before_request(lambda: sentry_sdk.get_isolation_scope().set_tag("request_id", g.request_id))


def options(config: dict[str, Any]) -> dict[str, Any]:
    """Return sentry_sdk.init's arguments; each default that could send a secret is turned off."""
    return {
        "dsn": config["SENTRY_DSN"],
        "release": config["RELEASE"],
        "environment": config["ENVIRONMENT"],
        "data_collection": NOTHING,
        "before_send": _without_query_string,
        "before_send_transaction": _without_query_string,
        "traces_sampler": lambda context: _sample(context, config["SENTRY_TRACES_SAMPLE_RATE"]),
    }


def _without_query_string(event: Any, _hint: Any) -> Any:
    """Drop the query string, where reset tokens and the like travel."""
    request = event.get("request", {})
    request.pop("query_string", None)
    if "url" in request:
        request["url"] = request["url"].partition("?")[0]
    return event


def _sample(context: dict[str, Any], rate: float) -> float:
    path = context.get("wsgi_environ", {}).get("PATH_INFO", "")
    return 0.0 if path.startswith("/health") else rate
