"""Schemas: validation, serialisation and the OpenAPI description of each resource."""
