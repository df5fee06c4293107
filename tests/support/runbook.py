"""The sections and commands of docs/runbook.md."""

import re
import shlex

from tests.support.helpers import ROOT

TEXT = (ROOT / "docs/runbook.md").read_text(encoding="utf-8")
HEADING = re.compile(r"^(#{2,3}) (.+)$", re.MULTILINE)
BLOCK = re.compile(r"^    (\S.*)$", re.MULTILINE)
INLINE = re.compile(r"`((?:docker|python3) [^`]+)`")
LABEL = re.compile(r"^\*\*(\w+)\.\*\* ", re.MULTILINE)
PLACEHOLDER = re.compile(r"\b(?:PID|ID|NAME|NEW|SERVER)\b|IMAGE@sha256:…|hooks\.example")
SQL_FUNCTION = re.compile(r"^    (sql\(\) \{.*\})$", re.MULTILINE)

# Docker commands with the options that the runbook uses; a stack test compares them with `docker --help`.
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

READ_ONLY = (
    ("python3", "-m", "ops", "status"),
    ("python3", "-m", "ops", "logs"),
    ("python3", "-m", "ops", "backups"),
    ("docker", "compose", "ps"),
    ("docker", "compose", "logs"),
    ("docker", "stats", "--no-stream"),
    ("docker", "system", "df"),
    ("docker", "volume", "ls"),
    ("df",),
    ("du",),
)


def sections():
    """Return the section titles by chapter."""
    found, chapter = {}, None
    for level, title in HEADING.findall(TEXT):
        if level == "##":
            chapter = title
            found[chapter] = []
        else:
            found[chapter].append(title)
    return found


def labels(title):
    """Return the labels of a section's paragraphs, such as Meaning."""
    body = TEXT.partition(f"\n### {title}\n")[2]
    return LABEL.findall(re.split(r"\n##", body)[0])


def commands():
    """Return the commands of code blocks and of inline code."""
    lines = [line for line in BLOCK.findall(TEXT) if not line.startswith(("COMPOSE_PROFILES=", "sql()"))]
    return list(dict.fromkeys([*lines, *INLINE.findall(TEXT)]))


def sql_function():
    """Return the shell function that some commands call."""
    return SQL_FUNCTION.search(TEXT)[1]


def argv(command):
    """Return a command's arguments, up to the first pipe."""
    return shlex.split(re.split(r" \|(?= )", command)[0])


def is_read_only(command):
    """Return whether a command changes nothing and terminates."""
    words = argv(command)
    return not PLACEHOLDER.search(command) and (
        any(tuple(words[: len(prefix)]) == prefix for prefix in READ_ONLY)
        or (words[0] == "sql" and words[1].startswith("SELECT") and "pg_terminate" not in words[1])
        or (words[:4] == ["docker", "compose", "exec", "-T"] and " info " in command)
    )
