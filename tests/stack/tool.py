"""Programs that attack or measure the edge, each in a container beside Nginx, by the host's name."""

from tests.stack.compose import docker
from tests.stack.server import HOST

URL = f"https://{HOST}:8443"


def beside(server, image, *words, volumes=(), cpus=2.0, timeout=120):
    """Run a program to its end where it reaches Nginx under the host's name, and return what it printed."""
    return docker(*_run(server, image, volumes, cpus), *words, check=False, timeout=timeout).stdout


def address(server):
    """Return Nginx's address in the containers' network."""
    template = "{{range .NetworkSettings.Networks}}{{.IPAddress}}{{end}}"
    return docker("inspect", "--format", template, f"{server.name}-nginx-1").stdout.strip()


def _run(server, image, volumes, cpus):
    mounts = [f"--volume={volume}" for volume in volumes]
    limits = ("--cap-drop=ALL", "--memory=512m", "--ulimit=nofile=8192", "--init", f"--cpus={cpus}")
    return (
        "run",
        "--rm",
        f"--network={server.name}_outside",
        f"--add-host={HOST}:{address(server)}",
        *limits,
        *mounts,
        image,
    )
