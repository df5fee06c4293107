"""What docs/runbook.md tells people to type."""

import re
import shlex

from tests.support.helpers import ROOT

TEXT = (ROOT / "docs/runbook.md").read_text(encoding="utf-8")
HEADING = re.compile(r"^(#{2,3}) (.+)$", re.MULTILINE)
BLOCK = re.compile(r"^    (\S.*)$", re.MULTILINE)
INLINE = re.compile(r"`((?:docker|python3) [^`]+)`")
PLACEHOLDER = re.compile(r"\b(?:PID|ID|NAME|NEW|SERVER)\b|IMAGE@sha256:…|hooks\.example")
SQL = re.compile(r"^sql\(\) \{.*\}$", re.MULTILINE)

# Docker's commands with the options that the runbook uses; the stack test asks Docker itself for these.
OPTIONS = {
    "compose ps": {"--all"},
    "compose logs": {"--since", "--tail", "--no-log-prefix"},
    "compose up": {"--detach", "--no-deps"},
    "compose start": set(),
    "compose restart": set(),
    "compose exec": {"-T"},
    "stats": {"--no-stream"},
    "system df": set(),
    "image prune": {"--all", "--force"},
    "volume ls": {"--filter"},
    "volume rm": set(),
    "inspect": set(),
}


def sections():
    """Return the sections below each heading of the second level."""
    found, above = {}, None
    for level, title in HEADING.findall(TEXT):
        if level == "##":
            above = title
            found[above] = []
        else:
            found[above].append(title)
    return found


def commands():
    """Return what is to be typed: each line of a block, and what stands in backticks."""
    lines = [line for line in BLOCK.findall(TEXT) if not line.startswith(("COMPOSE_PROFILES=", "sql()"))]
    return list(dict.fromkeys([*lines, *INLINE.findall(TEXT)]))


def function():
    """Return the function that some of them call."""
    return SQL.search(TEXT.replace("    sql()", "sql()"))[0]


def words(command):
    """Return the words of a command, up to what its output goes through."""
    return shlex.split(re.split(r" \|(?= )", command)[0])


def only_looks(command):
    """Whether a command changes nothing, and ends by itself."""
    first = words(command)
    looks = (
        ["python3", "-m", "ops", "status"],
        ["python3", "-m", "ops", "logs"],
        ["python3", "-m", "ops", "backups"],
        ["docker", "compose", "ps"],
        ["docker", "compose", "logs"],
        ["docker", "stats", "--no-stream"],
        ["docker", "system", "df"],
        ["docker", "volume", "ls"],
        ["df"],
        ["du"],
    )
    return not PLACEHOLDER.search(command) and (
        any(first[: len(look)] == look for look in looks)
        or (first[0] == "sql" and first[1].startswith("SELECT") and "pg_terminate" not in first[1])
        or (first[:4] == ["docker", "compose", "exec", "-T"] and " info " in command)
    )
