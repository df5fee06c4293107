"""Whether this server is fit for production: the checks of `flask check-production`, one concern a module."""
