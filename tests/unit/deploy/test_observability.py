"""What watches: rules, Alertmanager and dashboards name what is there, and each other."""

import importlib.util
import re
import sys
from collections import Counter

import pytest
import yaml

from ops.docker.compose import MONITORING
from tests.support.helpers import ROOT
from tests.support.metric_names import APPLICATION, FOLDER, OTHERS, OWN, dashboards, named, queries, rules
from tests.support.stack.alert_cases import CASES

COMPOSE = yaml.safe_load((ROOT / "docker-compose.prod.yml").read_text(encoding="utf-8"))
SERVICES = COMPOSE["services"]
PROMETHEUS = yaml.safe_load((FOLDER / "prometheus.yml").read_text(encoding="utf-8"))
ALERTMANAGER = yaml.safe_load((FOLDER / "alertmanager.yml").read_text(encoding="utf-8"))
ALERTS = [(category, rule) for category, rule in rules() if "alert" in rule]
NAMES = {rule["alert"] for _, rule in ALERTS}
RECORDED = {rule["record"]: rule["expr"] for _, rule in rules() if "record" in rule}
KNOWN = APPLICATION.union(OWN, RECORDED, *OTHERS.values())
each_alert = pytest.mark.parametrize(("category", "rule"), ALERTS, ids=[rule["alert"] for _, rule in ALERTS])


def test_names_are_found():
    """The reader of queries finds the metrics in them and nothing else: a check of nothing would find no fault."""
    query = 'sum by (le) (rate(a_total{b="c d"}[5m])) / on (x) max(e) > 0.5 * 2 and absent(up{job="w"}) or x:y:z'
    assert named(query) == {"a_total", "e", "up", "x:y:z"}


@pytest.mark.parametrize("query", [rule["expr"] for _, rule in rules()] + [query for _, query in queries()])
def test_metrics_exist(query):
    """Each metric that a rule or a dashboard names is one that somebody has."""
    assert named(query) - KNOWN == set()


def test_metrics_are_needed():
    """Nothing is held to be there that nobody looks at."""
    used = set().union(*(named(rule["expr"]) for _, rule in rules()), *(named(query) for _, query in queries()))
    assert set().union(*OTHERS.values()) - used == set()


def test_bundle_has_its_metrics():
    """The names that the bundle itself writes are those that are read here."""
    sources = {
        "active-upstream": "nginx/snippets/metrics.conf",
        "certificates": "deploy/certbot/care.py",
        "backups": "deploy/backup/care.sh",
    }
    missing = [
        name
        for job, path in sources.items()
        for name in OTHERS[job]
        if name not in (ROOT / path).read_text(encoding="utf-8")
    ]
    assert missing == []


@each_alert
def test_alert(category, rule):
    """Each alert says how much it hurries, what it is about, what is the matter, and where the runbook is."""
    severity = ("none",) if rule["alert"] == "Watchdog" else ("page", "ticket")
    assert rule["labels"]["severity"] in severity
    assert rule["labels"]["category"] == category
    assert rule["annotations"]["summary"].endswith(".")
    assert rule["annotations"]["runbook_url"] == f"docs/runbook.md#{rule['alert'].lower()}"


@each_alert
def test_case(category, rule):
    """Each alert is tried on series on which it rings, and on some on which it does not."""
    cases = [
        case for case in CASES if case.alert == rule["alert"] and case.severity in ("", rule["labels"]["severity"])
    ]
    assert cases, category
    assert any(case.good for case in cases) or rule["alert"] == "Watchdog"


def test_recorded_twice_used():
    """What is recorded is what an alert and a dashboard share."""
    shown = set().union(*(named(query) for _, query in queries()))
    rung = set().union(*(named(rule["expr"]) for _, rule in ALERTS))
    assert set(RECORDED) == set(RECORDED) & shown & rung


def test_targets_exist():
    """What Prometheus asks is a service, itself, or a Redis by way of the exporter."""
    hosts = set()
    for job in PROMETHEUS["scrape_configs"]:
        for kind in job.get("static_configs", []):
            hosts |= {target.partition(":")[0] for target in kind["targets"]}
        hosts |= {name for kind in job.get("dns_sd_configs", []) for name in kind["names"]}
    assert hosts - {"localhost"} <= set(SERVICES)
    assert {"web-blue", "web-green", "nginx", "redis-sessions"} <= hosts


def matched(text):
    """Return the label, the operator and the values of a matcher of Alertmanager's."""
    label, operator, values = re.fullmatch(r"(\w+) (=|!=|=~|!~) (\S+)", text).groups()
    return label, operator, values.split("|")


def matchers():
    """Return every matcher of Alertmanager's configuration."""
    found = [
        text
        for rule in ALERTMANAGER["inhibit_rules"]
        for kind in ("source", "target")
        for text in rule[f"{kind}_matchers"]
    ]
    return found + [text for route in ALERTMANAGER["route"]["routes"] for text in route["matchers"]]


@pytest.mark.parametrize("text", matchers())
def test_alertmanager_names_what_there_is(text):
    """Each label, alert and category that Alertmanager looks for is one that an alert can have."""
    jobs = {job["job_name"] for job in PROMETHEUS["scrape_configs"]}
    known = {"alertname": NAMES, "job": jobs}
    known |= {label: {rule["labels"][label] for _, rule in ALERTS} for label in ("category", "severity")}
    label, _, values = matched(text)
    assert set(values) <= known[label]


def test_the_watched_are_not_silenced_by_themselves():
    """An alert that silences others is not among them, or it would be told nobody."""
    for rule in ALERTMANAGER["inhibit_rules"]:
        [source] = [values for _, _, values in map(matched, rule["source_matchers"])]
        rings = next(each for _, each in ALERTS if each["alert"] == source[0])
        labels = {"alertname": source[0], "job": "", **rings["labels"]}
        meant = [
            (labels[label] in values) == operator.startswith("=")
            for label, operator, values in map(matched, rule["target_matchers"])
        ]
        assert not all(meant), source


def test_dashboards_are_what_is_written():
    """The files are those that scripts/dashboards.py writes today."""
    sys.path.insert(0, str(ROOT / "scripts"))
    spec = importlib.util.spec_from_file_location("dashboards", ROOT / "scripts/dashboards.py")
    script = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(script)
    sys.path.remove(str(ROOT / "scripts"))
    wanted = {f"{page.uid}.json": script.text(page) for page in script.PAGES}
    assert {path.name: path.read_text(encoding="utf-8") for path in script.FOLDER.iterdir()} == wanted


def test_panels():
    """Panels have an id of their own, say what bad looks like, and take their data from the one source there is."""
    source = yaml.safe_load((FOLDER / "grafana/provisioning/datasources/prometheus.yml").read_text(encoding="utf-8"))
    uids = {each["uid"] for each in source["datasources"]}
    for dashboard in dashboards():
        identities = Counter(panel["id"] for panel in dashboard["panels"])
        assert set(identities.values()) == {1}
        for panel in dashboard["panels"]:
            assert re.search("Bad|One is too many|None at all|Two names|highest", panel["description"]), panel["title"]
            assert {target["datasource"]["uid"] for target in panel["targets"]} <= uids


def test_panels_do_not_overlap():
    """No panel covers another, and none is wider than the page."""
    for dashboard in dashboards():
        seen = Counter()
        for panel in dashboard["panels"]:
            place = panel["gridPos"]
            assert place["x"] + place["w"] <= 24
            seen.update(
                (x, y)
                for x in range(place["x"], place["x"] + place["w"])
                for y in range(place["y"], place["y"] + place["h"])
            )
        assert set(seen.values()) == {1}


def test_dashboards_have_uids_of_their_own():
    """No two dashboards are one to Grafana."""
    uids = [dashboard["uid"] for dashboard in dashboards()]
    assert len(set(uids)) == len(uids) == 2


def test_the_profile():
    """The services of the profile are those that ops starts, and none is started without it."""
    assert {name for name, known in SERVICES.items() if known.get("profiles") == ["observability"]} == set(MONITORING)


@pytest.mark.parametrize("name", MONITORING)
def test_what_watches_is_confined(name):
    """No right too many, a limit for memory, an image of one version, no port but on this machine's own address."""
    known = SERVICES[name]
    assert (known["read_only"], known["cap_drop"], known["security_opt"]) == (True, ["ALL"], ["no-new-privileges:true"])
    assert known["user"].partition(":")[0] not in {"", "0", "root"}
    assert known["mem_limit"]
    assert known["logging"]["options"]["max-size"]
    assert re.fullmatch(r"[\w./-]+:v?\d+\.\d+\.\d+", known["image"])
    assert all(port.startswith("127.0.0.1:") for port in known.get("ports", []))


def test_what_asks_the_data_has_no_way_out():
    """Exporters of the data are on networks without one, and what has one is not on the data's network."""
    outside = {name for name in MONITORING if {"outside", "alerts"} & {*SERVICES[name]["networks"]}}
    inside = {name for name in MONITORING if "inside" in SERVICES[name]["networks"]}
    assert inside == {"postgres-exporter", "redis-exporter"}
    assert outside & inside == set()
    assert COMPOSE["networks"]["watching"]["internal"]


def test_nobody_silences_alerts():
    """Nobody but Prometheus reaches Alertmanager, which asks for no password."""
    reached = {name for name, service in SERVICES.items() if "alerts" in service.get("networks", ())}
    assert reached == {"prometheus", "alertmanager"}
    assert SERVICES["alertmanager"]["networks"] == ["alerts"]


def test_grafana_tells_nobody():
    """Nobody comes in without a password, which is a file, and nothing is told or fetched."""
    settings = SERVICES["grafana"]["environment"]
    assert settings["GF_AUTH_ANONYMOUS_ENABLED"] == "false"
    assert settings["GF_SECURITY_ADMIN_PASSWORD__FILE"] == "/run/secrets/grafana_password"
    for name in ("REPORTING_ENABLED", "CHECK_FOR_UPDATES", "CHECK_FOR_PLUGIN_UPDATES"):
        assert settings[f"GF_ANALYTICS_{name}"] == "false"
    assert settings["GF_PLUGINS_PREINSTALL_DISABLED"] == "true"
