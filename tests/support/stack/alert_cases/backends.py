"""Cases of rules/backends.yml."""

from tests.support.stack.alert_cases.case import OTHER, WEB, Case

BACKENDS = [
    Case(
        "CircuitBreakerOpen",
        {
            f'circuit_breaker_open{{{WEB}, backend="postgres"}}': "0 1x20",
            f'circuit_breaker_open{{{OTHER}, backend="postgres"}}': "0x20",
        },
        "2m",
        "2m30s",
        "The circuit breaker for postgres is open; requests that need it get 503.",
        [{f'circuit_breaker_open{{{WEB}, backend="postgres"}}': "0 1 0x20"}],
        {"backend": "postgres"},
        severity="page",
    ),
    Case(
        "CircuitBreakerOpen",
        {f'circuit_breaker_open{{{WEB}, backend="redis"}}': "0 1x20"},
        "5m",
        "5m30s",
        "The circuit breaker for redis is open; the database serves all requests.",
        [{f'circuit_breaker_open{{{WEB}, backend="redis"}}': "0x20"}],
        {"backend": "redis"},
        severity="ticket",
    ),
    Case(
        "HighBackendErrorRate",
        {f'backend_errors_total{{{WEB}, backend="postgres", error_type="unavailable"}}': "0+30x40"},
        "5m",
        "6m",
        "Calls to postgres fail 1 times per second (unavailable).",
        [
            {f'backend_errors_total{{{WEB}, backend="postgres", error_type="unavailable"}}': "0+1x40"},
            {f'backend_errors_total{{{WEB}, backend="postgres", error_type="unavailable"}}': "0 30 60x40"},
        ],
        {"backend": "postgres", "error_type": "unavailable"},
    ),
]
