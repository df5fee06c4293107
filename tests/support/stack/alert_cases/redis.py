"""Cases of rules/redis.yml."""

from tests.support.stack.alert_cases.case import Case

SESSIONS = 'job="redis", instance="redis-sessions"'
MAX_MEMORY = {f"redis_memory_max_bytes{{{SESSIONS}}}": "100x20"}
REJECTED = f'redis_errors_total{{{SESSIONS}, err="OOM"}}'
REDIS = [
    Case(
        "RedisDown",
        {f"redis_up{{{SESSIONS}}}": "1 0x20"},
        "1m",
        "1m30s",
        "redis-sessions is down.",
        [{f"redis_up{{{SESSIONS}}}": "1 0 1x20"}],
        {"job": "redis", "instance": "redis-sessions"},
    ),
    Case(
        "RedisSessionsMemoryNearLimit",
        MAX_MEMORY | {f"redis_memory_used_bytes{{{SESSIONS}}}": "85x20"},
        "4m30s",
        "5m",
        "redis-sessions uses 85% of its memory; when full, it rejects new sessions.",
        [
            MAX_MEMORY | {f"redis_memory_used_bytes{{{SESSIONS}}}": "75x20"},
            {  # the cache is always full
                'redis_memory_used_bytes{job="redis", instance="redis-cache"}': "99x20",
                'redis_memory_max_bytes{job="redis", instance="redis-cache"}': "100x20",
            },
        ],
        {"job": "redis", "instance": "redis-sessions"},
    ),
    Case(
        "RedisWritesRejected",
        {REJECTED: "_x20 4x20", f"redis_up{{{SESSIONS}}}": "1x60"},  # the series starts with the first error
        "9m30s",
        "12m",
        "redis-sessions rejected 4 commands or connections in 5 minutes.",
        [
            {REJECTED: "_x20 4x20", f"redis_up{{{SESSIONS}}}": "_x20 1x40"},  # Redis was not scraped before
            {REJECTED: "4x60", f"redis_up{{{SESSIONS}}}": "1x60"},
        ],
        {"job": "redis", "instance": "redis-sessions", "err": "OOM"},
    ),
    Case(
        "RedisWritesRejected",
        {REJECTED: "0x4 4x20"},
        "1m30s",
        "5m",
        "redis-sessions rejected 4 commands or connections in 5 minutes.",
        [
            {
                REJECTED: "4x20",
                f'redis_errors_total{{{SESSIONS}, err="NOPERM"}}': "0+9x20",
            }
        ],
        {"job": "redis", "instance": "redis-sessions", "err": "OOM"},
    ),
    Case(
        "RedisWritesRejected",
        {f"redis_rejected_connections_total{{{SESSIONS}}}": "0x4 4x20"},
        "1m30s",
        "5m",
        "redis-sessions rejected 4 commands or connections in 5 minutes.",
        [],
        {"job": "redis", "instance": "redis-sessions"},
    ),
]
