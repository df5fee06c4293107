"""What stands in front fits the application: proxies are counted, browsers stay with TLS, bodies have one limit.

The compose file tells what it gives nginx. Where it does not, another edge stands in front, which cannot be seen here.
"""

import re
from collections.abc import Iterator

from .finding import Finding, failed, passed, warned
from .production import Production

LONG = 180 * 86400  # seconds, which is what browsers' makers and SSL Labs ask for


def check_proxies(production: Production) -> Iterator[Finding]:
    """See that as many proxies are believed as stand in front."""
    hops, ours = production.settings.TRUSTED_PROXIES, bool(production.variables.get("BODY_KILOBYTES"))
    if hops == 0 and ours:
        remedy = "Set TRUSTED_PROXIES=1, as docker-compose.prod.yml does."
        yield failed(
            "TRUSTED_PROXIES is 0: nginx would be taken for every client, and its plain HTTP for theirs.", remedy
        )
    elif hops == 0:
        remedy = "If a proxy or a load balancer stands in front, set TRUSTED_PROXIES=1."
        yield warned(
            "TRUSTED_PROXIES is 0, which is right only where clients connect to the application itself.", remedy
        )
    elif hops > 1 and ours:
        remedy = "Set TRUSTED_PROXIES=1; what stands in front of nginx goes into CDN_NETWORKS."
        yield warned(
            f"TRUSTED_PROXIES is {hops}, and nginx hands one address on: it would be taken for the client.", remedy
        )
    elif hops > 1 and not production.variables.get("CDN_NETWORKS"):
        remedy = "Set it to the number of proxies that add to X-Forwarded-For; with one, that is 1."
        yield warned(f"TRUSTED_PROXIES is {hops}: with fewer in front, a client may make its address up.", remedy)
    else:
        yield passed(f"TRUSTED_PROXIES is {hops}.")


def check_hsts(production: Production) -> Iterator[Finding]:
    """See that browsers ask by TLS only, for long enough."""
    value = production.variables.get("HSTS", "")
    found = re.match(r"max-age=(\d+)", value)
    if not found:
        remedy = "Look: curl --silent --head https://YOUR-HOST/health | grep -i strict-transport-security"
        yield warned("what stands in front does not say here whether it sends Strict-Transport-Security.", remedy)
    elif int(found[1]) < LONG:
        days = int(found[1]) / 86400
        remedy = "When certificates have been renewed here for a while: HSTS=max-age=63072000; includeSubDomains"
        yield warned(
            f"HSTS lasts {days:.0f} days: after that a first request may go in the clear." if days else "HSTS is off.",
            remedy,
        )
    else:
        yield passed(f"HSTS is {value}.")


def check_bodies(production: Production) -> Iterator[Finding]:
    """See that nginx takes what the application takes."""
    limit, kilobytes = production.settings.MAX_CONTENT_LENGTH, production.variables.get("BODY_KILOBYTES", "")
    if not kilobytes.isdecimal():
        remedy = "Look: curl --data-binary @FILE with a file that is larger. Wanted is 413."
        yield warned("what stands in front does not say here how large a body may be.", remedy)
    elif int(kilobytes) * 1024 < limit:
        remedy = f"Set BODY_KILOBYTES={-(-limit // 1024)}, or lower MAX_CONTENT_LENGTH."
        yield warned(f"nginx refuses bodies above {kilobytes} KiB, though MAX_CONTENT_LENGTH is {limit}.", remedy)
    elif int(kilobytes) * 1024 > limit:
        remedy = f"Set MAX_CONTENT_LENGTH={int(kilobytes) * 1024}, or lower BODY_KILOBYTES."
        yield warned(
            f"nginx takes {kilobytes} KiB in, and MAX_CONTENT_LENGTH is {limit}: the rest is for nothing.", remedy
        )
    else:
        yield passed(f"nginx and the application take bodies of up to {kilobytes} KiB.")
