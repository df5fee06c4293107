"""The application answers to its own names, and to no others."""

import ipaddress
from collections.abc import Iterator

from .finding import Finding, failed, passed, warned
from .production import Production

REMEDY = "Name each host that users ask for: TRUSTED_HOSTS=shop.example,www.shop.example"

# Below these anybody may have a name; the whole list is at https://publicsuffix.org.
SHARED = frozenset(
    """
    co.uk com.au co.jp com.br github.io gitlab.io herokuapp.com fly.dev onrender.com run.app appspot.com vercel.app
    netlify.app pages.dev workers.dev azurewebsites.net cloudfront.net amazonaws.com ngrok.io up.railway.app
    """.split()  # noqa: SIM905 - as a list it is a screen long
)


def check(production: Production) -> Iterator[Finding]:
    """Look for names that let others in, or that are nobody's."""
    names = [str(name) for name in production.settings.TRUSTED_HOSTS or ()]
    wide, own = [name for name in names if _is_wide(name)], [name for name in names if _is_own(name)]
    if wide:
        yield failed(
            f"TRUSTED_HOSTS lets in what is not ours, or nothing at all: {', '.join(map(repr, wide))}.", REMEDY
        )
    if len(own) == len(names):
        yield failed(f"TRUSTED_HOSTS has no name that users could ask for: {', '.join(own) or 'it is empty'}.", REMEDY)
    elif own:
        yield warned(f"TRUSTED_HOSTS has addresses of machines among the names: {', '.join(own)}.", REMEDY)
    if not wide and not own and names:
        yield passed(f"asked for by {', '.join(names)}, and by no other name.")


def _is_wide(name: str) -> bool:
    below = name.lstrip(".")
    return "*" in name or not below or (name.startswith(".") and ("." not in below or below in SHARED))


def _is_own(name: str) -> bool:
    """Whether it means a machine to itself: localhost, or an address."""
    plain = name.rpartition(":")[0] if name.count(":") == 1 else name
    try:
        ipaddress.ip_address(plain.strip("[]"))
    except ValueError:
        return plain.lstrip(".") == "localhost" or plain.endswith(".localhost")
    return True
