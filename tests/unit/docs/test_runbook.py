"""docs/runbook.md: one section for each alert, and commands that exist."""

import re
import subprocess

import pytest
import yaml

from ops.cli import main
from tests.support.helpers import ROOT
from tests.support.metric_names import APPLICATION, OTHERS, rules
from tests.support.runbook import (
    OPTIONS,
    PLACEHOLDER,
    TEXT,
    argv,
    commands,
    is_read_only,
    labels,
    sections,
    sql_function,
)

ALERTS = {rule["alert"] for _, rule in rules() if "alert" in rule}
COMPOSE = yaml.safe_load((ROOT / "docker-compose.prod.yml").read_text(encoding="utf-8"))
DOCKER = [command for command in commands() if command.startswith("docker ")]


def anchor(title):
    """Return the anchor that GitHub generates for a title."""
    return re.sub(r"[^\w -]", "", title.lower()).replace(" ", "-")


def test_each_alert_has_a_section():
    """Alert sections and alerts correspond one to one."""
    titles = [title for chapter, below in sections().items() if chapter.startswith("Alerts: ") for title in below]
    assert sorted(titles) == sorted(ALERTS)


@pytest.mark.guarantee("The runbook has a section for each alert, and its read-only commands work on a running server")
@pytest.mark.parametrize("alert", sorted(ALERTS))
def test_alert_section_form(alert):
    """Each alert section states meaning, impact, diagnosis and remedy, in this order."""
    assert labels(alert) == ["Meaning", "Impact", "Diagnosis", "Remedy"]


def test_incidents():
    """Incidents that cause several alerts have their own sections."""
    assert len(sections()["Incidents"]) >= 11


def test_anchors():
    """Each link within the page leads to a section."""
    titles = {anchor(title) for chapter, below in sections().items() for title in [chapter, *below]}
    assert set(re.findall(r"\]\(#([^)]+)\)", TEXT)) <= titles


def test_metrics():
    """Each metric that the page names exists."""
    prefixes = "http|cache|db|gunicorn|backend|circuit_breaker|nginx|pg|redis|backup|certificate"
    assert set(re.findall(rf"`((?:{prefixes})_\w+)`", TEXT)) <= APPLICATION.union(*OTHERS.values())


def test_commands_are_found():
    """The parser finds commands of every kind."""
    found = commands()
    assert len(found) > 60
    for start in ("python3 -m ops deploy", "docker compose exec", "sql ", "df "):
        assert any(command.startswith(start) for command in found), start
    assert sum(map(is_read_only, found)) > 25


@pytest.mark.parametrize("command", commands())
def test_shell_syntax(command):
    """Bash parses each command."""
    done = subprocess.run(
        ["bash", "-n"], input=f"{sql_function()}\n{command}\n", capture_output=True, text=True, timeout=10, check=False
    )
    assert done.stderr == ""


@pytest.mark.parametrize("command", [command for command in commands() if "-m ops" in command])
def test_ops_arguments(command):
    """The argument parser of `ops` accepts each of its commands."""
    arguments = argv(PLACEHOLDER.sub("image@sha256:0", command).removeprefix("sudo "))[3:]
    if arguments == ["restore", "--to"]:  # the text describes the value
        arguments.append("2026-11-25T10:00:00Z")
    main.parser().parse_args(arguments)


def docker_arguments(command):
    """Return the name of a Docker command and its arguments, without those of a program in a container."""
    words = argv(command)[1:]
    size = 2 if " ".join(words[:2]) in OPTIONS else 1
    name, rest = " ".join(words[:size]), words[size:]
    if name == "compose exec":
        rest = rest[: rest.index(next(word for word in rest if not word.startswith("-"))) + 1]
    return name, rest


@pytest.mark.parametrize("command", DOCKER)
def test_docker_options(command):
    """Each Docker command and its options are in the list that a stack test compares with Docker."""
    name, rest = docker_arguments(command)
    assert name in OPTIONS
    assert {word.partition("=")[0] for word in rest if word.startswith("-")} <= OPTIONS[name]


@pytest.mark.parametrize("command", [command for command in DOCKER if command.startswith("docker compose")])
def test_docker_services(command):
    """Each Docker Compose command names existing services."""
    _, rest = docker_arguments(command)
    values = [rest[index + 1] for index, word in enumerate(rest) if word in {"--since", "--tail"}]
    named = {word for word in rest if not word.startswith("-") and word not in values}
    assert named <= set(COMPOSE["services"])


@pytest.mark.parametrize("name", sorted(set(re.findall(r"\bsecrets/([a-z_]+)", TEXT))))
def test_secrets(name):
    """Each secret that the page names exists."""
    assert name in COMPOSE["secrets"]
