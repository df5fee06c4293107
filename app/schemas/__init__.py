"""What goes in and out: validation, the OpenAPI description, and the one place where each thing is rendered."""
