"""The database: engine, sessions, circuit breaker, state of the schema."""
