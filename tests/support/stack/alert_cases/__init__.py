"""For each alert: series on which it fires, with its summary, and series on which it does not fire.

Series are in promtool's notation, one sample every 30 s: `0+5x20` is 0, then 20 samples that each add 5.
https://prometheus.io/docs/prometheus/latest/configuration/unit_testing_rules/
"""

from tests.support.stack.alert_cases.backends import BACKENDS
from tests.support.stack.alert_cases.backups import BACKUPS
from tests.support.stack.alert_cases.certificates import CERTIFICATES
from tests.support.stack.alert_cases.monitoring import MONITORING
from tests.support.stack.alert_cases.postgres import POSTGRES
from tests.support.stack.alert_cases.redis import REDIS
from tests.support.stack.alert_cases.saturation import SATURATION
from tests.support.stack.alert_cases.slo import SLO

CASES = [*SLO, *SATURATION, *BACKENDS, *POSTGRES, *REDIS, *CERTIFICATES, *BACKUPS, *MONITORING]
