"""The HTTP endpoints, one module for each resource."""

from flask import Flask

from app.routes import cache, docs, health, products


def init_app(app: Flask) -> None:
    """Register the blueprints; the API's also appear in the OpenAPI description."""
    for module in (products, cache, health):
        app.extensions["api"].register_blueprint(module.blp)
    app.register_blueprint(docs.blp)
