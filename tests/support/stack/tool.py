"""Runs programs that attack or measure nginx, in containers on its network."""

from tests.support.stack.compose import docker
from tests.support.stack.server import HOST

URL = f"https://{HOST}:8443"


def run_tool(server, image, *command, options=(), timeout=120):
    """Run a program that reaches nginx by the host name, and return its output."""
    network = (f"--network={server.name}_frontend", f"--add-host={HOST}:{address(server)}")
    limits = ("--init", "--cap-drop=ALL", "--memory=512m", "--ulimit=nofile=8192")
    return docker("run", "--rm", *network, *limits, *options, image, *command, check=False, timeout=timeout).stdout


def address(server, family="IPAddress"):
    """Return nginx's container address; FAMILY is IPAddress or GlobalIPv6Address."""
    template = f"{{{{range .NetworkSettings.Networks}}}}{{{{.{family}}}}}{{{{end}}}}"
    return docker("inspect", "--format", template, f"{server.name}-nginx-1").stdout.strip()
