"""Cases of rules/postgres.yml."""

from tests.support.stack.alert_cases.case import Case

GIB = 2**30
POSTGRES = [
    Case(
        "PostgresDown",
        {"pg_up": "1 0x20"},
        "1m",
        "1m30s",
        "Postgres is down.",
        [{"pg_up": "1 0 1x20"}],
    ),
    Case(
        "PostgresConnectionsNearLimit",
        {
            'pg_stat_database_numbackends{datname="app"}': "90x20",
            'pg_settings_max_connections{server="db:5432"}': "100x20",
        },
        "4m30s",
        "5m",
        "90% of max_connections are open.",
        [
            {
                'pg_stat_database_numbackends{datname="app"}': "70x20",
                'pg_settings_max_connections{server="db:5432"}': "100x20",
            }
        ],
    ),
    Case(
        "PostgresDeadlocks",
        {'pg_stat_database_deadlocks{datname="app"}': "3x4 5x40"},
        "1m30s",
        "14m30s",
        "2 deadlocks in 15 minutes; Postgres aborted one transaction of each.",
        [{'pg_stat_database_deadlocks{datname="app"}': "3x20"}],
    ),
    Case(
        "PostgresLongTransaction",
        {'pg_stat_activity_max_tx_duration{datname="app", usename="app", state="idle in transaction"}': "280+30x20"},
        "1m",
        "2m",
        "A transaction of app has been open for 6m 40s (idle in transaction).",
        [
            {'pg_stat_activity_max_tx_duration{datname="app", usename="app", state="active"}': "10x20"},
            {'pg_stat_activity_max_tx_duration{datname="app", usename="app_backup", state="active"}': "9000+30x20"},
            {'pg_stat_activity_max_tx_duration{datname="app", usename="", state="active"}': "9000+30x20"},
        ],
        {"usename": "app", "state": "idle in transaction"},
    ),
    Case(
        "PostgresReplicationSlotLag",
        {'pg_replication_slots_pg_wal_lsn_diff{slot_name="archive"}': f"0 {3 * GIB // 4}x20"},
        "5m",
        "5m30s",
        "Postgres retains 768MiB of WAL for the replication slot archive.",
        [{'pg_replication_slots_pg_wal_lsn_diff{slot_name="archive"}': f"{GIB // 4}x20"}],
        {"slot_name": "archive"},
    ),
]
