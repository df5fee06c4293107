"""HTTP semantics that all resources share: errors, conditional requests, idempotency, pagination, proxies."""
