"""Production checks of the server itself, one concern a module."""
