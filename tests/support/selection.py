"""Selects files of the stack level: a part for a parallel job, or as many as fit into a time. Nothing is random."""

UNKNOWN_S = 120  # assumed for a file whose time was never recorded


def part(seconds, number, count):
    """Return the files of one of COUNT parts that take about the same time; NUMBER starts at 1."""
    parts = [[] for _ in range(count)]
    totals = [0.0] * count
    for name in sorted(seconds, key=lambda name: (-seconds[name], name)):
        shortest = totals.index(min(totals))
        parts[shortest].append(name)
        totals[shortest] += seconds[name]
    return parts[number - 1]


def rotation(seconds, commit, budget_s):
    """Return the files that fit into BUDGET_S; the hash of the commit decides where in the list to start."""
    names = sorted(seconds)
    start = int(commit, 16) % len(names) if names else 0
    chosen = []
    for name in names[start:] + names[:start]:
        if seconds[name] <= budget_s:
            chosen.append(name)
            budget_s -= seconds[name]
    return chosen
