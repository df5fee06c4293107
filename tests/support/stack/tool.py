"""Programs that attack or measure the edge, each in a container beside Nginx, by the host's name."""

from tests.support.stack.compose import docker
from tests.support.stack.server import HOST

URL = f"https://{HOST}:8443"


def beside(server, image, *words, options=(), timeout=120):
    """Run a program to its end where it reaches Nginx under the host's name, and return what it printed."""
    place = (f"--network={server.name}_frontend", f"--add-host={HOST}:{address(server)}")
    limits = ("--init", "--cap-drop=ALL", "--memory=512m", "--ulimit=nofile=8192")
    return docker("run", "--rm", *place, *limits, *options, image, *words, check=False, timeout=timeout).stdout


def address(server, family="IPAddress"):
    """Return Nginx's address in the containers' network; of IPv6, it is its GlobalIPv6Address."""
    template = f"{{{{range .NetworkSettings.Networks}}}}{{{{.{family}}}}}{{{{end}}}}"
    return docker("inspect", "--format", template, f"{server.name}-nginx-1").stdout.strip()
