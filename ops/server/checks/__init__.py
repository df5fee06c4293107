"""What of production can be seen on the server alone, and in no container: one concern a module."""
