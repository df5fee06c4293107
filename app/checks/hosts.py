"""Check that TRUSTED_HOSTS lists public names, and only names that this site controls."""

import ipaddress
from collections.abc import Iterator

from .context import CheckContext
from .finding import Finding, failed, passed, warned

REMEDY = "List each public host name: TRUSTED_HOSTS=shop.example,www.shop.example"

# Anyone can register names below these suffixes; the complete list is at https://publicsuffix.org.
PUBLIC_SUFFIXES = frozenset(
    """
    co.uk com.au co.jp com.br github.io gitlab.io herokuapp.com fly.dev onrender.com run.app appspot.com vercel.app
    netlify.app pages.dev workers.dev azurewebsites.net cloudfront.net amazonaws.com ngrok.io up.railway.app
    """.split()  # noqa: SIM905 - as a list it is a screen long
)


def check(context: CheckContext) -> Iterator[Finding]:
    """Check for names that are too wide, and for names that are not public."""
    names = [str(name) for name in context.settings.TRUSTED_HOSTS or ()]
    wide, local = [name for name in names if _is_too_wide(name)], [name for name in names if _is_local(name)]
    if wide:
        yield failed(
            f"TRUSTED_HOSTS contains names that match other domains, or nothing: {', '.join(map(repr, wide))}.", REMEDY
        )
    if len(local) == len(names):
        yield failed(f"TRUSTED_HOSTS contains no public host name: {', '.join(local) or 'it is empty'}.", REMEDY)
    elif local:
        yield warned(f"TRUSTED_HOSTS contains machine addresses: {', '.join(local)}.", REMEDY)
    if not wide and not local and names:
        yield passed(f"only {', '.join(names)}.")


def _is_too_wide(name: str) -> bool:
    parent = name.lstrip(".")
    return "*" in name or not parent or (name.startswith(".") and ("." not in parent or parent in PUBLIC_SUFFIXES))


def _is_local(name: str) -> bool:
    """Whether the name is localhost or an address."""
    host = name.rpartition(":")[0] if name.count(":") == 1 else name
    try:
        ipaddress.ip_address(host.strip("[]"))
    except ValueError:
        return host.lstrip(".") == "localhost" or host.endswith(".localhost")
    return True
