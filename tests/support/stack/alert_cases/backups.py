"""Cases of rules/backups.yml."""

from tests.support.stack.alert_cases.case import DAY, NGINX, UP, Case

SUCCEEDED = {f'backup_last_success_timestamp_seconds{{job="{job}"}}': "0x80" for job in ("wal", "base", "dump")}
LAST_SUCCESS = 'backup_last_success_timestamp_seconds{job="%s"}'
BACKUPS = [
    Case(
        "BackupFailed",
        {'backup_failing_since_timestamp_seconds{job="dump"}': "0x80"},
        "15m",
        "16m",
        "The backup job dump has been failing for 16m 0s. The disk may be full.",
        [SUCCEEDED],
        {"job": "dump"},
    ),
    *[
        Case(
            "BackupOverdue",
            {LAST_SUCCESS % job: f"{-age}x40"},
            "4m",
            "6m",
            summary,
            [{LAST_SUCCESS % job: f"{-age + 600}x10"}],
            {"job": job},
        )
        for job, age, summary in (
            ("wal", 900, "The backup job wal last succeeded 21m 0s ago."),
            ("base", 26 * 3600, "The backup job base last succeeded 1d 2h 6m 0s ago."),
            ("dump", 26 * 3600, "The backup job dump last succeeded 1d 2h 6m 0s ago."),
            ("offsite", 26 * 3600, "The backup job offsite last succeeded 1d 2h 6m 0s ago."),
            ("drill", 15 * DAY, "The backup job drill last succeeded 15d 0h 6m 0s ago."),
        )
    ],
    *[
        Case(
            "BackupMissing",
            {UP: "1x80"} | {each: values for each, values in SUCCEEDED.items() if each != LAST_SUCCESS % job},
            "29m",
            "30m",
            f"The backup job {job} has never reported a success.",
            [{UP: "1x80"} | SUCCEEDED, {NGINX: "1x80"}],
            {"job": job},
        )
        for job in ("wal", "base", "dump")
    ],
]
