"""Rules, Alertmanager, dashboards and the Compose profile refer to names that exist, and to each other."""

import importlib.util
import re
import sys
from collections import Counter

import pytest
import yaml

from ops.docker.compose import MONITORING
from tests.support.helpers import ROOT
from tests.support.metric_names import APPLICATION, FOLDER, OTHERS, OWN, dashboards, named, queries, rules
from tests.support.runbook import TEXT as RUNBOOK
from tests.support.stack.alert_cases import CASES

COMPOSE = yaml.safe_load((ROOT / "docker-compose.prod.yml").read_text(encoding="utf-8"))
SERVICES = COMPOSE["services"]
PROMETHEUS = yaml.safe_load((FOLDER / "prometheus.yml").read_text(encoding="utf-8"))
ALERTMANAGER = yaml.safe_load((FOLDER / "alertmanager.yml").read_text(encoding="utf-8"))
ALERTS = [(category, rule) for category, rule in rules() if "alert" in rule]
NAMES = {rule["alert"] for _, rule in ALERTS}
RECORDED = {rule["record"] for _, rule in rules() if "record" in rule}
KNOWN = APPLICATION.union(OWN, RECORDED, *OTHERS.values())
PANELS = [panel for dashboard in dashboards() for panel in dashboard["panels"]]
each_alert = pytest.mark.parametrize(("category", "rule"), ALERTS, ids=[rule["alert"] for _, rule in ALERTS])


def test_metric_parser():
    """The parser finds exactly the metrics of a query."""
    query = 'sum by (le) (rate(a_total{b="c d"}[5m])) / on (x) max(e) > 0.5 * 2 and absent(up{job="w"}) or x:y:z'
    assert named(query) == {"a_total", "e", "up", "x:y:z"}


@pytest.mark.parametrize("query", [rule["expr"] for _, rule in rules()] + [query for _, query in queries()])
def test_metrics_exist(query):
    """Each metric of a rule or a dashboard exists."""
    assert named(query) - KNOWN == set()


def test_metrics_are_used():
    """Each metric in the list of other programs' metrics is used by a rule or a dashboard."""
    used = set().union(*(named(rule["expr"]) for _, rule in rules()), *(named(query) for _, query in queries()))
    assert set().union(*OTHERS.values()) - used == set()


@pytest.mark.parametrize(
    ("job", "path"),
    [
        ("active-upstream", "nginx/snippets/metrics.conf"),
        ("certificates", "deploy/certbot/status.py"),
        ("backups", "deploy/backup/schedule.sh"),
    ],
)
def test_bundle_writes_its_metrics(job, path):
    """The bundle's own scripts and configuration write the metrics that rules use."""
    text = (ROOT / path).read_text(encoding="utf-8")
    assert [name for name in OTHERS[job] if name not in text] == []


@each_alert
def test_alert_metadata(category, rule):
    """Each alert has a severity, its file's category, a summary and the link to its runbook section."""
    severities = ("none",) if rule["alert"] == "Watchdog" else ("page", "ticket")
    assert rule["labels"]["severity"] in severities
    assert rule["labels"]["category"] == category
    assert rule["annotations"]["summary"].endswith(".")
    assert rule["annotations"]["runbook_url"] == f"docs/runbook.md#{rule['alert'].lower()}"


@each_alert
def test_alert_has_cases(category, rule):
    """Each alert has a case with faulty series and, except the Watchdog, one with healthy series."""
    severities = ("", rule["labels"]["severity"])
    cases = [case for case in CASES if case.alert == rule["alert"] and case.severity in severities]
    assert cases, category
    assert any(case.healthy for case in cases) or rule["alert"] == "Watchdog"


def test_recording_rules_are_shared():
    """Each recorded series is used by both an alert and a dashboard."""
    in_dashboards = set().union(*(named(query) for _, query in queries()))
    in_alerts = set().union(*(named(rule["expr"]) for _, rule in ALERTS))
    assert in_dashboards & in_alerts >= RECORDED


def test_targets_exist():
    """Each scrape target is a service or Prometheus itself."""
    hosts = set()
    for job in PROMETHEUS["scrape_configs"]:
        for config in job.get("static_configs", []):
            hosts |= {target.partition(":")[0] for target in config["targets"]}
        hosts |= {name for config in job.get("dns_sd_configs", []) for name in config["names"]}
    assert hosts - {"localhost"} <= set(SERVICES)
    assert {"web-blue", "web-green", "nginx", "redis-sessions"} <= hosts


def parse_matcher(text):
    """Return the label, the operator and the values of an Alertmanager matcher."""
    label, operator, values = re.fullmatch(r"(\w+) (=|!=|=~|!~) (\S+)", text).groups()
    return label, operator, values.split("|")


def all_matchers():
    """Return every matcher of Alertmanager's configuration."""
    inhibitions = [
        text
        for rule in ALERTMANAGER["inhibit_rules"]
        for kind in ("source", "target")
        for text in rule[f"{kind}_matchers"]
    ]
    return inhibitions + [text for route in ALERTMANAGER["route"]["routes"] for text in route["matchers"]]


@pytest.mark.parametrize("text", all_matchers())
def test_matchers_exist(text):
    """Each label value that an Alertmanager matcher names is one that an alert can have."""
    known = {"alertname": NAMES, "job": {job["job_name"] for job in PROMETHEUS["scrape_configs"]}}
    known |= {label: {rule["labels"][label] for _, rule in ALERTS} for label in ("category", "severity")}
    label, _, values = parse_matcher(text)
    assert set(values) <= known[label]


def test_no_alert_inhibits_itself():
    """The source of an inhibition is not among its targets; Alertmanager would otherwise send neither."""
    for inhibition in ALERTMANAGER["inhibit_rules"]:
        [source] = [values for _, _, values in map(parse_matcher, inhibition["source_matchers"])]
        rule = next(each for _, each in ALERTS if each["alert"] == source[0])
        labels = {"alertname": source[0], "job": "", **rule["labels"]}
        matches = [
            (labels[label] in values) == operator.startswith("=")
            for label, operator, values in map(parse_matcher, inhibition["target_matchers"])
        ]
        assert not all(matches), source


def test_dashboards_are_current():
    """The dashboards are the output of scripts/dashboards.py."""
    sys.path.insert(0, str(ROOT / "scripts"))
    spec = importlib.util.spec_from_file_location("dashboards", ROOT / "scripts/dashboards.py")
    script = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(script)
    sys.path.remove(str(ROOT / "scripts"))
    expected = {f"{dashboard.uid}.json": script.render(dashboard) for dashboard in script.DASHBOARDS}
    assert {path.name: path.read_text(encoding="utf-8") for path in script.FOLDER.iterdir()} == expected


@pytest.mark.parametrize("panel", PANELS, ids=[panel["title"] for panel in PANELS])
def test_panel(panel):
    """Each panel says when to investigate, and uses the provisioned data source."""
    text = (FOLDER / "grafana/provisioning/datasources/prometheus.yml").read_text(encoding="utf-8")
    uids = {source["uid"] for source in yaml.safe_load(text)["datasources"]}
    assert "Investigate " in panel["description"]
    assert {target["datasource"]["uid"] for target in panel["targets"]} <= uids


@pytest.mark.parametrize("dashboard", dashboards(), ids=[dashboard["uid"] for dashboard in dashboards()])
def test_panel_ids_and_positions(dashboard):
    """Panel ids are unique, and panels neither overlap nor exceed the grid."""
    positions = [panel["gridPos"] for panel in dashboard["panels"]]
    cells = Counter(
        (x, y)
        for position in positions
        for x in range(position["x"], position["x"] + position["w"])
        for y in range(position["y"], position["y"] + position["h"])
    )
    assert set(cells.values()) == {1}
    assert max(position["x"] + position["w"] for position in positions) <= 24
    assert len({panel["id"] for panel in dashboard["panels"]}) == len(positions)


def test_dashboard_uids_are_unique():
    """Grafana identifies a dashboard by its uid."""
    uids = [dashboard["uid"] for dashboard in dashboards()]
    assert len(set(uids)) == len(uids) == 2


def test_runbook_names_panels():
    """Each panel or dashboard that the runbook quotes exists."""
    titles = {panel["title"] for panel in PANELS} | {dashboard["title"] for dashboard in dashboards()}
    paragraphs = [text for text in RUNBOOK.split("\n\n") if re.search("dashboard|Grafana", text)]
    quoted = re.findall(r'"([^"]+)"', "\n".join(text for text in paragraphs if not text.startswith("    ")))
    assert len(quoted) > 6
    assert set(quoted) <= titles


def test_profile_services():
    """The Compose profile contains the services that `ops` starts."""
    assert {name for name, known in SERVICES.items() if known.get("profiles") == ["observability"]} == set(MONITORING)


@pytest.mark.parametrize("name", MONITORING)
def test_least_privilege(name):
    """Each service has no capability, a read-only root, a memory limit, a pinned image, and loopback ports only."""
    service = SERVICES[name]
    assert (service["read_only"], service["cap_drop"]) == (True, ["ALL"])
    assert service["security_opt"] == ["no-new-privileges:true"]
    assert service["user"].partition(":")[0] not in {"", "0", "root"}
    assert service["mem_limit"]
    assert service["logging"]["options"]["max-size"]
    assert re.fullmatch(r"[\w./-]+:v?\d+\.\d+\.\d+", service["image"])
    assert all(port.startswith("127.0.0.1:") for port in service.get("ports", []))


def test_no_service_reaches_both_data_and_internet():
    """Only the data's exporters join its network, and no service with a route to the internet does."""
    external = {name for name in MONITORING if {"frontend", "alerting"} & {*SERVICES[name]["networks"]}}
    internal = {name for name in MONITORING if "backend" in SERVICES[name]["networks"]}
    assert internal == {"postgres-exporter", "redis-exporter"}
    assert external & internal == set()
    assert COMPOSE["networks"]["monitoring"]["internal"]


def test_only_prometheus_reaches_alertmanager():
    """Alertmanager has no authentication, so it shares a network with Prometheus alone."""
    members = {name for name, service in SERVICES.items() if "alerting" in service.get("networks", ())}
    assert members == {"prometheus", "alertmanager"}
    assert SERVICES["alertmanager"]["networks"] == ["alerting"]


def test_grafana_settings():
    """Grafana requires a password from a file, and neither reports nor downloads anything."""
    settings = SERVICES["grafana"]["environment"]
    assert settings["GF_AUTH_ANONYMOUS_ENABLED"] == "false"
    assert settings["GF_SECURITY_ADMIN_PASSWORD__FILE"] == "/run/secrets/grafana_password"
    for name in ("REPORTING_ENABLED", "CHECK_FOR_UPDATES", "CHECK_FOR_PLUGIN_UPDATES"):
        assert settings[f"GF_ANALYTICS_{name}"] == "false"
    assert settings["GF_PLUGINS_PREINSTALL_DISABLED"] == "true"
