"""The runbook: a section for each alert, an alert or a bad day for each section, and commands that can be typed."""

import re
import subprocess

import pytest
import yaml

from ops import cli
from tests.support.helpers import ROOT
from tests.support.metric_names import APPLICATION, OTHERS, rules
from tests.support.runbook import OPTIONS, PLACEHOLDER, TEXT, commands, function, only_looks, sections, words

ALERTS = {rule["alert"] for _, rule in rules() if "alert" in rule}
SERVICES = yaml.safe_load((ROOT / "docker-compose.prod.yml").read_text(encoding="utf-8"))["services"]


def section(title):
    """Return a title as GitHub makes an anchor of it."""
    return re.sub(r"[^\w -]", "", title.lower()).replace(" ", "-")


def test_each_alert_has_a_section():
    """Each alert has a section, and each section of alerts an alert."""
    titles = [title for above, below in sections().items() if above.startswith("Alerts: ") for title in below]
    assert sorted(titles) == sorted(ALERTS)


def test_bad_days():
    """The days on which more is ill than one thing have sections of their own."""
    assert len(sections()["Bad days"]) >= 11


def test_anchors():
    """Each link within the page leads to a section."""
    titles = {section(title) for above, below in sections().items() for title in [above, *below]}
    assert set(re.findall(r"\]\(#([^)]+)\)", TEXT)) <= titles


def test_metrics():
    """Each metric that the page names is one that there is."""
    named = set(
        re.findall(r"`((?:http|cache|database|gunicorn|backend|breaker|nginx|pg|redis|backup|certificate)_\w+)`", TEXT)
    )
    assert named <= APPLICATION.union(*OTHERS.values())


def test_commands_are_found():
    """The reader finds commands of every kind: a check of nothing would find no fault."""
    found = commands()
    assert len(found) > 60
    for start in ("python3 -m ops deploy", "docker compose exec", "sql ", "df "):
        assert any(command.startswith(start) for command in found), start
    assert sum(map(only_looks, found)) > 25


@pytest.mark.parametrize("command", commands())
def test_shell_understands(command):
    """Bash can read each command, with the function that some of them call."""
    done = subprocess.run(
        ["bash", "-n"], input=f"{function()}\n{command}\n", capture_output=True, text=True, timeout=10, check=False
    )
    assert done.stderr == ""


@pytest.mark.parametrize("command", [command for command in commands() if "-m ops" in command])
def test_ops_understands(command):
    """Each command of ops is one, with its options."""
    given = words(PLACEHOLDER.sub("image@sha256:0", command).removeprefix("sudo "))
    if given[3:] == ["restore", "--to"]:  # the sentence goes on with the moment
        given.append("2026-11-25T10:00:00Z")
    cli.parser().parse_args(given[3:])


@pytest.mark.parametrize("command", [command for command in commands() if command.startswith("docker ")])
def test_docker_understands(command):
    """Each command of Docker's is one that is known here, with its options, and names services that there are."""
    given = words(command)[1:]
    size = 1 if " ".join(given[:2]) not in OPTIONS else 2
    name, rest = " ".join(given[:size]), given[size:]
    if name == "compose exec":
        rest = rest[: rest.index(next(word for word in rest if not word.startswith("-"))) + 1]
    options = {word.partition("=")[0] for word in rest if word.startswith("-")}
    assert name in OPTIONS
    assert options <= OPTIONS[name]
    if name.startswith("compose"):
        values = [rest[index + 1] for index, word in enumerate(rest) if word in {"--since", "--tail"}]
        named = {word for word in rest if not word.startswith("-") and word not in values}
        assert named <= set(SERVICES)


@pytest.mark.parametrize("path", sorted(set(re.findall(r"\bsecrets/([a-z_]+)", TEXT))))
def test_secrets(path):
    """Each secret that the page names is one."""
    secrets = yaml.safe_load((ROOT / "docker-compose.prod.yml").read_text(encoding="utf-8"))["secrets"]
    assert path in secrets
