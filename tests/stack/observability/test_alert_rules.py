"""Alert rules in promtool and amtool: valid configuration, and each alert fires on faulty series only."""

import json
import re

import pytest
import yaml

from tests.support.helpers import ROOT
from tests.support.metric_names import FOLDER, rules
from tests.support.stack.alert_cases import CASES
from tests.support.stack.compose import docker

COMPOSE = yaml.safe_load((ROOT / "docker-compose.prod.yml").read_text(encoding="utf-8"))


def run(service, tool, *arguments, folder=FOLDER):
    """Run a tool of a service's image, with the configuration and a folder mounted; return the completed process."""
    image = COMPOSE["services"][service]["image"]
    mounts = (f"--volume={FOLDER}:/etc/observability:ro", f"--volume={folder}:/given:ro")
    return docker("run", "--rm", "--network=none", *mounts, f"--entrypoint={tool}", image, *arguments, check=False)


def find_rule(case):
    """Return the rule that a case tests."""
    [found] = [
        rule
        for _, rule in rules()
        if rule.get("alert") == case.alert and case.severity in {"", rule["labels"]["severity"]}
    ]
    return found


def expectation(case, time, *, fires):
    """Return the alerts that promtool must find at a time."""
    rule = find_rule(case)
    annotations = {"summary": case.summary, "runbook_url": rule["annotations"]["runbook_url"]}
    alert = {"exp_labels": rule["labels"] | case.labels, "exp_annotations": annotations}
    return {"eval_time": time, "alertname": case.alert, "exp_alerts": [alert] if fires else []}


def promtool_test(name, series, expectations):
    """Return a test in promtool's format."""
    inputs = [{"series": key, "values": values} for key, values in series.items()]
    return {"name": name, "interval": "30s", "input_series": inputs, "alert_rule_test": expectations}


def promtool_tests(case):
    """Yield the tests of a case: one with faulty series, and one for each healthy series."""
    name = f"{case.alert} {case.summary}"
    pending = [expectation(case, case.before, fires=False)] if case.before else []
    yield promtool_test(name, case.faulty, [*pending, expectation(case, case.at, fires=True)])
    for series in case.healthy:
        yield promtool_test(f"{name}: healthy", series, [expectation(case, case.at, fires=False)])


def write_tests(folder, rule_files, cases):
    """Write the tests of cases to a folder that promtool's user can read; JSON is YAML."""
    folder.chmod(0o755)
    tests = [test for case in cases for test in promtool_tests(case)]
    text = json.dumps({"rule_files": rule_files, "evaluation_interval": "30s", "tests": tests})
    (folder / "tests.yml").write_text(text, encoding="utf-8")


def test_prometheus_configuration():
    """Promtool accepts Prometheus' configuration and finds no duplicate rule."""
    done = run("prometheus", "promtool", "check", "config", "/etc/observability/prometheus.yml")
    assert done.returncode == 0, done.stdout + done.stderr
    assert "duplicate" not in done.stdout


def test_alertmanager_configuration():
    """Amtool accepts Alertmanager's configuration."""
    done = run("alertmanager", "amtool", "check-config", "/etc/observability/alertmanager.yml")
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.mark.guarantee("Each alert fires on faulty series, with the expected summary, and on no healthy series")
def test_alerts_fire_on_faulty_series_only(tmp_path):
    """Each alert fires on faulty series after its `for`, with the expected summary, and never on healthy series."""
    files = [f"/etc/observability/rules/{path.name}" for path in (FOLDER / "rules").glob("*.yml")]
    write_tests(tmp_path, files, CASES)
    done = run("prometheus", "promtool", "test", "rules", "/given/tests.yml", folder=tmp_path)
    assert done.returncode == 0, done.stdout + done.stderr


def test_promtool_finds_a_broken_rule(tmp_path):
    """The test above can fail: promtool reports a rule whose threshold is never reached."""
    text = (FOLDER / "rules/redis.yml").read_text(encoding="utf-8")
    (tmp_path / "rules.yml").write_text(text.replace("redis_up == 0", "redis_up == 7"), encoding="utf-8")
    write_tests(tmp_path, ["rules.yml"], [case for case in CASES if case.alert == "RedisDown"])
    done = run("prometheus", "promtool", "test", "rules", "/given/tests.yml", folder=tmp_path)
    assert done.returncode != 0
    assert re.search(r"alertname: ?RedisDown", done.stdout + done.stderr)
