"""A Compose project of its own: commands, logs, states, and requests to the port that it publishes."""

import json
import os
import secrets
import subprocess

from tests.support.helpers import free_port, wait_for
from tests.support.stack.client import ask, raw

# All that Docker itself needs: none of the project's variables reaches it from the shell that runs the tests.
KEPT = ("PATH", "HOME", "DOCKER_HOST", "DOCKER_CONTEXT", "DOCKER_CONFIG", "DOCKER_CERT_PATH", "DOCKER_TLS_VERIFY")
ENVIRONMENT = {name: os.environ[name] for name in KEPT if name in os.environ}


def has_engine():
    """Whether a Docker engine answers, and Compose is there."""
    try:
        return not any(
            subprocess.run(["docker", *words], capture_output=True, timeout=30, check=False).returncode
            for words in (["info"], ["compose", "version"])
        )
    except (OSError, subprocess.TimeoutExpired):
        return False


def docker(*words, check=True, timeout=120):
    """Run a docker command and return what came of it."""
    done = subprocess.run(["docker", *words], capture_output=True, text=True, timeout=timeout, check=False)
    assert done.returncode == 0 or not check, f"docker {' '.join(words)}\n{done.stdout}{done.stderr}"
    return done


def log_line(project, service, request_id):
    """Return the line that a service of a Compose project logged for a request, read as JSON."""

    def found():
        lines = project.compose("logs", "--no-log-prefix", "--no-color", "--tail", "200", service).stdout.splitlines()
        return [json.loads(line) for line in lines if request_id in line and line.startswith("{")]

    return wait_for(found)[0]


class Stack:
    """One Compose project, with a name and a port that no other has."""

    def __init__(self, folder):
        self.folder = folder
        self.name = f"stack-{secrets.token_hex(4)}"
        self.port = free_port()
        self.settings = {}

    @property
    def environment(self):
        """Return what a command of this project gets to see."""
        return ENVIRONMENT | {"COMPOSE_PROJECT_NAME": self.name, "HTTP_PORT": str(self.port)} | self.settings

    def start(self, *words, **options):
        """Start a Compose command and return the process."""
        return subprocess.Popen(
            ["docker", "compose", *words], cwd=self.folder, env=self.environment, text=True, **options
        )

    def compose(self, *words, check=True, stdin=None):
        """Run a Compose command and return what came of it."""
        done = subprocess.run(
            ["docker", "compose", *words],
            cwd=self.folder,
            env=self.environment,
            input=stdin,
            stdin=None if stdin is not None else subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=350,
            check=False,
        )
        assert done.returncode == 0 or not check, f"docker compose {' '.join(words)}\n{done.stdout}{done.stderr}"
        return done

    def up(self, *words):
        """Start what does not run and wait until all of it is healthy, and nginx knows where a new web is."""
        self.compose("up", "--detach", "--wait", "--wait-timeout", "90", *words)
        wait_for(lambda: self.ask("/health").status == 200)

    def mend(self):
        """Undo what a test did to the containers."""
        self.compose("unpause", check=False)
        self.compose("start", check=False)
        wait_for(lambda: set(self.health().values()) == {"healthy"}, seconds=60, pause=0.3)
        wait_for(lambda: self.ask("/health/ready").status == 200, seconds=20)

    def destroy(self):
        """Leave nothing behind."""
        self.compose("down", "--volumes", "--remove-orphans", "--timeout", "2", check=False)
        docker("image", "rm", "--force", f"{self.name}:development", check=False)

    def ps(self):
        """Return what `docker compose ps` tells of each service."""
        lines = self.compose("ps", "--all", "--format", "json").stdout.splitlines()
        return {row["Service"]: row for row in map(json.loads, lines)}

    def health(self):
        """Return the health of each service that lasts."""
        return {service: row["Health"] for service, row in self.ps().items() if service != "migrate"}

    def container(self, service):
        """Return the id of a service's container."""
        return self.compose("ps", "--all", "--quiet", service).stdout.strip()

    def inspect(self, service):
        """Return what `docker inspect` tells of a service's container."""
        return json.loads(docker("inspect", self.container(service)).stdout)[0]

    def states(self):
        """Return the State of each service's container."""
        return {service: self.inspect(service)["State"] for service in self.ps()}

    def ask(self, path, method="GET", **options):
        """Send a request through nginx and return the answer."""
        return ask(self.port, path, method, **options)

    def raw(self, data):
        """Send these bytes to nginx and return the answer."""
        return raw(self.port, data)

    def log_line(self, service, request_id):
        """Return the line that SERVICE logged for a request, read as JSON."""
        return log_line(self, service, request_id)

    def psql(self):
        """Start a psql session on the database; what is written to it is carried out line by line."""
        words = ("exec", "-T", "db", "psql", "-U", "app", "-d", "app", "--quiet", "--no-align", "--tuples-only")
        return self.start(*words, stdin=subprocess.PIPE, stdout=subprocess.PIPE, bufsize=1)
