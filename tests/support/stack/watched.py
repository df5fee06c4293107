"""A server that is watched, with minutes that are seconds: what Prometheus and Alertmanager say of it."""

import json
import re
import urllib.parse
import urllib.request

from tests.support.helpers import wait_for

FASTER = 15
SERVICES = ("prometheus", "alertmanager", "nginx-exporter", "postgres-exporter", "redis-exporter")  # Grafana aside
UNITS = {"s": 1, "m": 60, "h": 3600, "d": 86400}
DURATION = re.compile(r"(\[|offset |(?:for|[a-z]+_interval|group_wait): )(\d+)([smhd])\b")


def quicken(folder):
    """Let all that has a duration in a server's rules and configuration take a fifteenth of it, and look as often.

    What is counted in plain numbers, such as the days of a certificate, stays as it is. A look may take as long as the
    time between two.
    """
    for path in [*folder.glob("*.yml"), *folder.glob("rules/*.yml")]:
        text = re.sub(r"  scrape_timeout: .*\n", "", path.read_text(encoding="utf-8"))
        path.write_text(DURATION.sub(shorter, text), encoding="utf-8")


def shorter(found):
    """Return a duration in milliseconds, a fifteenth of what it was."""
    return f"{found[1]}{int(found[2]) * UNITS[found[3]] * 1000 // FASTER}ms"


class Watched:
    """What Prometheus and Alertmanager say, by the ports that they have on this machine."""

    def __init__(self, prometheus, alertmanager):
        self.prometheus, self.alertmanager = f"http://127.0.0.1:{prometheus}", f"http://127.0.0.1:{alertmanager}"

    def get(self, address):
        """Return what an address answers, read as JSON."""
        with urllib.request.urlopen(address, timeout=10) as answer:
            return json.load(answer)

    def query(self, text):
        """Return the series of a query now, each with its labels and its value."""
        found = self.get(f"{self.prometheus}/api/v1/query?{urllib.parse.urlencode({'query': text})}")
        return [(series["metric"], float(series["value"][1])) for series in found["data"]["result"]]

    def names(self):
        """Return the names of all metrics that there are."""
        return set(self.get(f"{self.prometheus}/api/v1/label/__name__/values")["data"])

    def targets(self):
        """Return what Prometheus asks."""
        return self.get(f"{self.prometheus}/api/v1/targets?state=active")["data"]["activeTargets"]

    def alerts(self, state="firing|pending"):
        """Return the alerts that ring or are about to, but for the one that always does."""
        return [labels for labels, _ in self.query(f'ALERTS{{alertname!="Watchdog", alertstate=~"{state}"}}')]

    def ringing(self):
        """Return the names of the alerts that ring."""
        return {labels["alertname"] for labels in self.alerts("firing")}

    def await_quiet(self, seconds=120):
        """Wait until nothing rings or is about to; what still does is in the failure's message."""

        def quiet():
            alerts = self.alerts()
            assert not alerts, alerts
            return True

        wait_for(quiet, seconds=seconds, pause=1)

    def await_alert(self, name, seconds=90, **labels):
        """Wait until an alert with such labels rings, and return all its labels."""

        def found():
            seen = self.alerts()
            meant = [each for each in seen if wanted.items() <= each.items()]
            assert meant, seen
            return meant[0]

        wanted = {"alertname": name, "alertstate": "firing", **labels}
        return wait_for(found, seconds=seconds, pause=1)

    def silenced(self):
        """Return the alerts that are told nobody, for another one says it."""
        found = self.get(f"{self.alertmanager}/api/v2/alerts?active=true&inhibited=true")
        return {each["labels"]["alertname"] for each in found if each["status"]["inhibitedBy"]}
