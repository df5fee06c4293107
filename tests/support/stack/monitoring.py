"""Prometheus and Alertmanager of a server under test, with durations shortened from minutes to seconds."""

import json
import re
import urllib.parse
import urllib.request

from tests.support.helpers import wait_for
from tests.support.stack.load import Load
from tests.support.stack.server import HOST

SPEEDUP = 15
SERVICES = ("prometheus", "alertmanager", "nginx-exporter", "postgres-exporter", "redis-exporter")  # without Grafana
UNITS = {"s": 1, "m": 60, "h": 3600, "d": 86400}
DURATION = re.compile(r"(\[|offset |(?:for|[a-z]+_interval|group_wait): )(\d+)([smhd])\b")


def shorten_durations(folder):
    """Divide the durations in a server's rules and configuration by SPEEDUP.

    Plain numbers, such as a certificate's days, stay. Without scrape_timeout it equals the scrape interval.
    """
    for path in [*folder.glob("*.yml"), *folder.glob("rules/*.yml")]:
        text = re.sub(r"  scrape_timeout: .*\n", "", path.read_text(encoding="utf-8"))
        path.write_text(DURATION.sub(_shorten, text), encoding="utf-8")


def _shorten(match):
    prefix, number, unit = match.groups()
    return f"{prefix}{int(number) * UNITS[unit] * 1000 // SPEEDUP}ms"


class Monitoring:
    """A client of Prometheus and Alertmanager, by their ports on this machine."""

    def __init__(self, prometheus, alertmanager):
        self.prometheus, self.alertmanager = f"http://127.0.0.1:{prometheus}", f"http://127.0.0.1:{alertmanager}"

    def get(self, url):
        """Return the JSON that a URL responds with."""
        with urllib.request.urlopen(url, timeout=10) as response:
            return json.load(response)

    def query(self, text):
        """Return the labels and the value of each series that a query finds now."""
        found = self.get(f"{self.prometheus}/api/v1/query?{urllib.parse.urlencode({'query': text})}")
        return [(series["metric"], float(series["value"][1])) for series in found["data"]["result"]]

    def metric_names(self):
        """Return the names of all metrics."""
        return set(self.get(f"{self.prometheus}/api/v1/label/__name__/values")["data"])

    def targets(self):
        """Return the active scrape targets."""
        return self.get(f"{self.prometheus}/api/v1/targets?state=active")["data"]["activeTargets"]

    def healthy_targets(self):
        """Return job and instance of each target whose last scrape succeeded."""
        return {(labels["job"], labels["instance"]) for labels, value in self.query("up") if value == 1}

    def alerts(self, state="firing|pending"):
        """Return the labels of alerts in a state, without the Watchdog."""
        return [labels for labels, _ in self.query(f'ALERTS{{alertname!="Watchdog", alertstate=~"{state}"}}')]

    def firing(self):
        """Return the names of the firing alerts."""
        return {labels["alertname"] for labels in self.alerts("firing")}

    def await_no_alerts(self, seconds=120):
        """Wait until no alert is firing or pending; the error lists those that are."""

        def has_none():
            alerts = self.alerts()
            assert not alerts, alerts
            return True

        wait_for(has_none, seconds=seconds, pause=1)

    def await_alert(self, name, seconds=90, **labels):
        """Wait until an alert with these labels fires, and return all its labels."""
        wanted = {"alertname": name, "alertstate": "firing", **labels}

        def find():
            alerts = self.alerts()
            matching = [each for each in alerts if wanted.items() <= each.items()]
            assert matching, alerts
            return matching[0]

        return wait_for(find, seconds=seconds, pause=1)

    def inhibited(self):
        """Return the names of the alerts that another alert inhibits."""
        found = self.get(f"{self.alertmanager}/api/v2/alerts?active=true&inhibited=true")
        return {each["labels"]["alertname"] for each in found if each["status"]["inhibitedBy"]}


def light_load(server):
    """Return a light load of reads and writes."""
    return Load(server.https, HOST, server.token(), keep_alive=2, fresh=1, rate=5)


def notifications(listener):
    """Return the text of all notifications that Alertmanager sent."""
    texts = (json.loads(body)["attachments"] for body in listener.received_texts("/hook"))
    return "\n".join(attachment["text"] for attachments in texts for attachment in attachments)


def await_notification(listener, alert):
    """Wait until Alertmanager has sent an alert with the link to its runbook section."""
    link = f"({alert}, docs/runbook.md#{alert.lower()})"
    wait_for(lambda: link in notifications(listener), seconds=60, pause=1)
