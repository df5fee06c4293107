"""Alert rules: what Prometheus itself understands, and that each alert rings on the bad series and on no good ones."""

import json
import re

import pytest
import yaml

from tests.support.helpers import ROOT
from tests.support.stack.alert_cases import CASES
from tests.support.stack.compose import docker

FOLDER = ROOT / "deploy/observability"
COMPOSE = yaml.safe_load((ROOT / "docker-compose.prod.yml").read_text(encoding="utf-8"))
RULES = [
    rule
    for path in sorted((FOLDER / "rules").glob("*.yml"))
    for group in yaml.safe_load(path.read_text(encoding="utf-8"))["groups"]
    for rule in group["rules"]
    if "alert" in rule
]


def run(service, tool, *words, folder=FOLDER):
    """Run a tool of a service's image, with the configuration and a folder; return what came of it."""
    image = COMPOSE["services"][service]["image"]
    mounts = (f"--volume={FOLDER}:/etc/observability:ro", f"--volume={folder}:/given:ro")
    return docker("run", "--rm", "--network=none", *mounts, f"--entrypoint={tool}", image, *words, check=False)


def rule(case):
    """Return the rule that a case is about."""
    [found] = [
        rule for rule in RULES if rule["alert"] == case.alert and case.severity in {"", rule["labels"]["severity"]}
    ]
    return found


def moments(case):
    """Return the moments of a case, and whether it rings then."""
    return [*([(case.not_yet, False)] if case.not_yet else []), (case.at, True)]


def check(case, moment, *, rings):
    """Return what promtool is to find at a moment."""
    found = rule(case)
    annotations = {"summary": case.summary, "runbook_url": found["annotations"]["runbook_url"]}
    alert = {"exp_labels": found["labels"] | case.labels, "exp_annotations": annotations}
    return {"eval_time": moment, "alertname": case.alert, "exp_alerts": [alert] if rings else []}


def trial(name, series, checks):
    """Return a test in the form of promtool."""
    inputs = [{"series": key, "values": values} for key, values in series.items()]
    return {"name": name, "interval": "30s", "input_series": inputs, "alert_rule_test": checks}


def trials(case):
    """Return the tests of a case: one that rings, and some that do not."""
    name = f"{case.alert} {case.summary}"
    yield trial(name, case.bad, [check(case, moment, rings=rings) for moment, rings in moments(case)])
    for good in case.good:
        yield trial(f"{name}: quiet", good, [check(case, case.at, rings=False)])


@pytest.fixture(scope="module")
def written(tmp_path_factory):
    """Return a folder with all tests, in the form that promtool reads; JSON is YAML."""
    folder = tmp_path_factory.mktemp("rules")
    folder.chmod(0o755)
    rules = [f"/etc/observability/rules/{path.name}" for path in (FOLDER / "rules").glob("*.yml")]
    tests = [each for case in CASES for each in trials(case)]
    text = json.dumps({"rule_files": rules, "evaluation_interval": "30s", "tests": tests})
    (folder / "tests.yml").write_text(text, encoding="utf-8")
    return folder


def test_prometheus_understands_its_configuration():
    """Promtool finds nothing wrong with what Prometheus reads, and none of the rules is a duplicate."""
    done = run("prometheus", "promtool", "check", "config", "/etc/observability/prometheus.yml")
    assert done.returncode == 0, done.stdout + done.stderr
    assert "duplicate" not in done.stdout


def test_alertmanager_understands_its_configuration():
    """Amtool finds nothing wrong with what Alertmanager reads."""
    done = run("alertmanager", "amtool", "check-config", "/etc/observability/alertmanager.yml")
    assert done.returncode == 0, done.stdout + done.stderr


def test_each_alert_rings_and_is_quiet(written):
    """Each alert fires on the bad series once its time is over, in the words that it should, and on no good series."""
    done = run("prometheus", "promtool", "test", "rules", "/given/tests.yml", folder=written)
    assert done.returncode == 0, done.stdout + done.stderr


def test_a_broken_rule_is_found(tmp_path):
    """The test above can fail: with a rule's threshold out of reach, promtool says which alert did not fire."""
    tmp_path.chmod(0o755)
    text = (FOLDER / "rules/redis.yml").read_text(encoding="utf-8")
    (tmp_path / "rules.yml").write_text(text.replace("redis_up == 0", "redis_up == 7"), encoding="utf-8")
    case = next(case for case in CASES if case.alert == "RedisDown")
    tests = {"rule_files": ["rules.yml"], "evaluation_interval": "30s", "tests": list(trials(case))}
    (tmp_path / "tests.yml").write_text(json.dumps(tests), encoding="utf-8")
    done = run("prometheus", "promtool", "test", "rules", "/given/tests.yml", folder=tmp_path)
    assert done.returncode != 0
    assert re.search(r"alertname: ?RedisDown", done.stdout + done.stderr)
