"""Which bad days a run tries: all together take more than an hour, so they take turns, by chance."""

import random
from collections import defaultdict

DAYS = 5  # that a run tries of these files
BAD_DAYS = {  # each takes minutes
    *("test_backup_care", "test_broken_release", "test_certificates", "test_connections", "test_killed_backups"),
    *("test_killed_release", "test_large_migration", "test_no_lost_write", "test_observability", "test_offsite"),
    *("test_outages", "test_redis_loss", "test_restore", "test_slow_clients", "test_upgrade", "test_workflow"),
}
CHANCE = random.SystemRandom()


def left_out(items):
    """Return the tests of a run that are not tried this time: other bad days, and most of each sweep."""
    return {*other_days(items), *rest_of_sweeps(items)}


def other_days(items):
    """Yield what is of a bad day that is not tried this time."""
    days = bad_days(items)
    tried = CHANCE.sample(days, min(DAYS, len(days)))
    yield from (item for item in items if item.path.stem in BAD_DAYS.difference(tried))


def rest_of_sweeps(items):
    """Yield what is not tried of series marked as `sweep(number, name)`: so many are, of each name in a file."""
    sweeps = defaultdict(list)
    for item in items:
        if marker := item.get_closest_marker("sweep"):
            sweeps[item.path, *marker.args].append(item)
    for (_, number, _), series in sweeps.items():
        yield from CHANCE.sample(series, max(0, len(series) - number))


def bad_days(items):
    """Return the names of the files among the bad days that these tests are of."""
    return sorted({item.path.stem for item in items} & BAD_DAYS)
