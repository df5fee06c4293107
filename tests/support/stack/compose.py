"""A temporary Compose project: commands, logs, states, and requests through its published port."""

import json
import os
import secrets
import subprocess

from tests.support.helpers import free_port, wait_for
from tests.support.stack.client import raw, send_request

# Only Docker's own variables: the shell's settings must not reach the project.
PASSED_ON = ("PATH", "HOME", "DOCKER_HOST", "DOCKER_CONTEXT", "DOCKER_CONFIG", "DOCKER_CERT_PATH", "DOCKER_TLS_VERIFY")
ENVIRONMENT = {name: os.environ[name] for name in PASSED_ON if name in os.environ}


def has_engine():
    """Whether a Docker engine with Compose is available."""
    try:
        return not any(
            subprocess.run(["docker", *command], capture_output=True, timeout=30, check=False).returncode
            for command in (["info"], ["compose", "version"])
        )
    except (OSError, subprocess.TimeoutExpired):
        return False


def docker(*command, check=True, timeout=120):
    """Run a docker command and return the completed process."""
    completed = subprocess.run(["docker", *command], capture_output=True, text=True, timeout=timeout, check=False)
    assert completed.returncode == 0 or not check, f"docker {' '.join(command)}\n{completed.stdout}{completed.stderr}"
    return completed


def log_line(project, service, request_id):
    """Return the JSON line that a service logged for a request."""

    def lines_of_request():
        lines = project.compose("logs", "--no-log-prefix", "--no-color", "--tail", "200", service).stdout.splitlines()
        return [json.loads(line) for line in lines if request_id in line and line.startswith("{")]

    return wait_for(lines_of_request)[0]


class Stack:
    """A Compose project with a unique name and port."""

    def __init__(self, folder):
        self.folder = folder
        self.name = f"stack-{secrets.token_hex(4)}"
        self.port = free_port()
        self.settings = {}

    @property
    def environment(self):
        """The environment of the project's commands."""
        return ENVIRONMENT | {"COMPOSE_PROJECT_NAME": self.name, "HTTP_PORT": str(self.port)} | self.settings

    def start(self, *command, **options):
        """Start a Compose command and return the process."""
        return subprocess.Popen(
            ["docker", "compose", *command], cwd=self.folder, env=self.environment, text=True, **options
        )

    def compose(self, *command, check=True, stdin=None):
        """Run a Compose command and return the completed process."""
        completed = subprocess.run(
            ["docker", "compose", *command],
            cwd=self.folder,
            env=self.environment,
            input=stdin,
            stdin=None if stdin is not None else subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=350,
            check=False,
        )
        assert completed.returncode == 0 or not check, (
            f"docker compose {' '.join(command)}\n{completed.stdout}{completed.stderr}"
        )
        return completed

    def up(self, *command):
        """Start the services and wait until all are healthy and nginx reaches web."""
        self.compose("up", "--detach", "--wait", "--wait-timeout", "90", *command)
        wait_for(lambda: self.request("/health").status == 200)

    def repair(self):
        """Undo what a test did to the containers."""
        self.compose("unpause", check=False)
        self.compose("start", check=False)
        wait_for(lambda: set(self.health().values()) == {"healthy"}, seconds=60, pause=0.3)
        wait_for(lambda: self.request("/health/ready").status == 200, seconds=20)

    def destroy(self):
        """Remove containers, volumes and images."""
        self.compose("down", "--volumes", "--remove-orphans", "--timeout", "2", check=False)
        docker("image", "rm", "--force", f"{self.name}:development", check=False)

    def ps(self):
        """Return the row of `docker compose ps` for each service."""
        lines = self.compose("ps", "--all", "--format", "json").stdout.splitlines()
        return {row["Service"]: row for row in map(json.loads, lines)}

    def health(self):
        """Return the health of each long-running service."""
        return {service: row["Health"] for service, row in self.ps().items() if service != "migrate"}

    def container(self, service):
        """Return the id of a service's container."""
        return self.compose("ps", "--all", "--quiet", service).stdout.strip()

    def inspect(self, service):
        """Return `docker inspect` of a service's container."""
        return json.loads(docker("inspect", self.container(service)).stdout)[0]

    def states(self):
        """Return the State of each service's container."""
        return {service: self.inspect(service)["State"] for service in self.ps()}

    def request(self, path, method="GET", **options):
        """Send a request through nginx and return the response."""
        return send_request(self.port, path, method, **options)

    def raw(self, data):
        """Send bytes to nginx and return the response."""
        return raw(self.port, data)

    def log_line(self, service, request_id):
        """Return the JSON line that a service logged for a request."""
        return log_line(self, service, request_id)

    def psql(self):
        """Start a psql session that executes the lines written to it."""
        command = ("exec", "-T", "db", "psql", "-U", "app", "-d", "app", "--quiet", "--no-align", "--tuples-only")
        return self.start(*command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, bufsize=1)
