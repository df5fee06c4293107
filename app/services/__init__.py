"""The business logic, independent of HTTP: routes and commands call it, and it uses the models."""
