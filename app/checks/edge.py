"""Check that the edge and the application agree: trusted proxies, HSTS and the size of request bodies.

The compose file passes nginx's settings to the application too. Without them the edge is a different one, whose
settings these checks cannot read.
"""

import re
from collections.abc import Iterator

from .context import CheckContext
from .finding import Finding, failed, passed, warned

LONG_HSTS_S = 180 * 86400  # the minimum that browser vendors and SSL Labs recommend


def check_proxies(context: CheckContext) -> Iterator[Finding]:
    """Check that the number of trusted proxies matches those in front."""
    hops, bundled = context.settings.TRUSTED_PROXIES, bool(context.variables.get("BODY_KILOBYTES"))
    if hops == 0 and bundled:
        remedy = "Set TRUSTED_PROXIES=1, as docker-compose.prod.yml does."
        yield failed(
            "TRUSTED_PROXIES is 0: every client would have nginx's address, and its scheme would be plain HTTP.", remedy
        )
    elif hops == 0:
        remedy = "If a proxy or a load balancer is in front, set TRUSTED_PROXIES=1."
        yield warned(
            "TRUSTED_PROXIES is 0, which is correct only if clients connect directly to the application.", remedy
        )
    elif hops > 1 and bundled:
        remedy = "Set TRUSTED_PROXIES=1; list the proxies in front of nginx in CDN_NETWORKS."
        yield warned(
            f"TRUSTED_PROXIES is {hops}, but nginx forwards one address, which would be taken for the client.", remedy
        )
    elif hops > 1 and not context.variables.get("CDN_NETWORKS"):
        remedy = "Set it to the number of proxies that append to X-Forwarded-For; with one proxy, that is 1."
        yield warned(f"TRUSTED_PROXIES is {hops}: with fewer proxies, a client can forge its address.", remedy)
    else:
        yield passed(f"TRUSTED_PROXIES is {hops}.")


def check_hsts(context: CheckContext) -> Iterator[Finding]:
    """Check that browsers use TLS only, for long enough."""
    value = context.variables.get("HSTS", "")
    match = re.match(r"max-age=(\d+)", value)
    if not match:
        remedy = "Check: curl --silent --head https://YOUR-HOST/health | grep -i strict-transport-security"
        yield warned("it is unknown whether the edge sends Strict-Transport-Security.", remedy)
    elif int(match[1]) < LONG_HSTS_S:
        days = int(match[1]) / 86400
        remedy = "After some successful certificate renewals: HSTS=max-age=63072000; includeSubDomains"
        reason = (
            f"HSTS lasts {days:.0f} days; after that, a first request may be unencrypted." if days else "HSTS is off."
        )
        yield warned(reason, remedy)
    else:
        yield passed(f"HSTS is {value}.")


def check_bodies(context: CheckContext) -> Iterator[Finding]:
    """Check that nginx and the application accept the same size of request bodies."""
    limit, kilobytes = context.settings.MAX_CONTENT_LENGTH, context.variables.get("BODY_KILOBYTES", "")
    if not kilobytes.isdecimal():
        remedy = "Check: curl --data-binary @FILE with a larger file must return 413."
        yield warned("the edge's limit for request bodies is unknown.", remedy)
    elif int(kilobytes) * 1024 < limit:
        remedy = f"Set BODY_KILOBYTES={-(-limit // 1024)}, or lower MAX_CONTENT_LENGTH."
        yield warned(f"nginx refuses bodies above {kilobytes} KiB, but MAX_CONTENT_LENGTH is {limit}.", remedy)
    elif int(kilobytes) * 1024 > limit:
        remedy = f"Set MAX_CONTENT_LENGTH={int(kilobytes) * 1024}, or lower BODY_KILOBYTES."
        yield warned(
            f"nginx accepts {kilobytes} KiB, but MAX_CONTENT_LENGTH is {limit}: it buffers bodies in vain.",
            remedy,
        )
    else:
        yield passed(f"nginx and the application accept bodies of up to {kilobytes} KiB.")
