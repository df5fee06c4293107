"""The HTTP side: one module for each resource."""

from flask import Flask

from app.routes import cache, docs, health, products


def init_app(app: Flask) -> None:
    """Register every blueprint, those of the API with the OpenAPI description too."""
    for module in (products, cache, health):
        app.extensions["api"].register_blueprint(module.blp)
    app.register_blueprint(docs.blp)
