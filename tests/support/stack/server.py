"""A server as an operator has it (a folder with a bundle and `python3 -m ops`), and a registry to deploy from."""

import json
import re
import secrets
import subprocess
import sys

from tests.support.helpers import free_port, wait_for
from tests.support.stack.client import send_tls_request
from tests.support.stack.compose import ENVIRONMENT, docker, log_line

HOST = "shop.example"
# The tests use one client address, and no slow client is disconnected, so that attacks last until their end.
LIMITS = {"API_RATE": 100_000, "TOKEN_RATE": 100_000, "CLIENT_REQUESTS": 5000, "CLIENT_SECONDS": 60}
TAGS = ("blue", "green", "migrate", "pgbouncer")  # of the images of a server
STEP = re.compile(r"^  (\w+) done in ([\d.]+) s", re.MULTILINE)


class Registry:
    """A local registry with releases that are variants of one image."""

    def __init__(self, base):
        self.base = base
        self.name = f"registry-{secrets.token_hex(4)}"
        self.repository = f"127.0.0.1:{free_port()}/{self.name}"

    def start(self):
        """Start the registry and wait until it responds."""
        address = self.repository.split("/", maxsplit=1)[0]
        docker("run", "--detach", f"--name={self.name}", f"--publish={address}:5000", "registry:2")
        wait_for(lambda: docker("pull", f"{self.repository}:none", check=False).stderr.count("manifest unknown"))

    def release(self, name, *lines):
        """Build and push a release with additional Dockerfile lines; return its digest."""
        stamp = [f"ENV RELEASE={name}", f"LABEL org.opencontainers.image.revision={name}"]
        dockerfile = "\n".join([f"FROM {self.base}", "USER root", *stamp, *lines, "USER 10001:10001", ""])
        tag = f"{self.repository}:{name}"
        subprocess.run(
            ["docker", "build", "--quiet", f"--tag={tag}", "-"],
            input=dockerfile,
            text=True,
            capture_output=True,
            timeout=120,
            check=True,
        )
        docker("push", "--quiet", tag)
        digests = json.loads(docker("image", "inspect", "--format", "{{json .RepoDigests}}", tag).stdout)
        return next(digest for digest in digests if digest.startswith(self.repository))  # others: of another run

    def destroy(self):
        """Remove the registry and its images."""
        docker("rm", "--force", "--volumes", self.name, check=False)
        # By name, since another run may have the same image under another name.
        names = ("--format={{.Repository}}:{{.Tag}}", f"--filter=reference={self.repository}")
        images = docker("image", "ls", *names).stdout.split()
        if images:
            docker("image", "rm", *images, check=False)


class Server:
    """One server's folder with a unique name and its own ports."""

    def __init__(self, parent, replicas=1, **settings):
        self.name = f"shop-{secrets.token_hex(4)}"
        self.folder = parent / self.name
        self.folder.mkdir()
        self.http, self.https = free_port(), free_port()
        self.replicas, self.settings = replicas, LIMITS | settings

    def unpack(self, image):
        """Unpack the bundle of an image, as in docs/release-path.md."""
        tar = subprocess.Popen(
            ["docker", "run", "--rm", "--network=none", image, "tar", "-C", "/srv/bundle", "-c", "."],
            stdout=subprocess.PIPE,
        )
        subprocess.run(["tar", "-x", "-C", str(self.folder)], stdin=tar.stdout, timeout=60, check=True)
        tar.stdout.close()
        assert tar.wait(30) == 0

    def init(self):
        """Run `init` and set the ports."""
        self.ops("init", "--host", HOST)
        settings = {
            "HTTP_PORT": f"127.0.0.1:{self.http}",
            "HTTPS_PORT": f"127.0.0.1:{self.https}",
            "WEB_REPLICAS": self.replicas,
        }
        with (self.folder / ".env").open("a") as file:
            file.writelines(f"{name}={value}\n" for name, value in (settings | self.settings).items())

    def start_ops(self, *words, start_new_session=False, **environment):
        """Start an ops command; the process's output is a pipe."""
        return subprocess.Popen(
            [sys.executable, "-m", "ops", *words],
            cwd=self.folder,
            env=ENVIRONMENT | {"PYTHONDONTWRITEBYTECODE": "1"} | environment,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            start_new_session=start_new_session,
            text=True,
        )

    def ops(self, *words, check=True, timeout=300, **environment):
        """Run an ops command and return its exit code and output."""
        process = self.start_ops(*words, **environment)
        try:
            output, _ = process.communicate(timeout=timeout)
        finally:
            process.kill()
        assert process.returncode == 0 or not check, f"ops {' '.join(words)}\n{output}"
        return subprocess.CompletedProcess(words, process.returncode, output, "")

    def status(self):
        """Return the status."""
        return json.loads(self.ops("status", "--json").stdout)

    def compose(self, *words, check=True, timeout=120):
        """Run a Compose command in the server's folder."""
        done = subprocess.run(
            ["docker", "compose", *words],
            cwd=self.folder,
            env=ENVIRONMENT,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=timeout,
            check=False,
        )
        assert done.returncode == 0 or not check, f"docker compose {' '.join(words)}\n{done.stdout}{done.stderr}"
        return done

    def request(self, path, method="GET", **options):
        """Send a request over TLS to the published port, with the host's name."""
        return send_tls_request(self.https, path, method, host=HOST, **options)

    def release(self):
        """Return the public release, or None."""
        response = self.request("/health/version")
        return response.json["release"] if response.status == 200 else None

    def token(self):
        """Create a token with the scope `products`."""
        colour = self.status()["active_colour"]
        words = ("flask", "--app", "wsgi", "token", "create", f"stack-{secrets.token_hex(3)}", "--scope", "products")
        return self.compose("exec", "-T", f"web-{colour}", *words).stdout.strip()

    def sql(self, text):
        """Run SQL as the superuser and return the rows."""
        script = 'PGPASSWORD=$(cat /run/secrets/postgres_password) exec psql -U postgres -d app -At -c "$0"'
        return self.compose("exec", "-T", "db", "bash", "-c", script, text).stdout.splitlines()

    def psql(self):
        """Start a superuser session that executes its input line by line."""
        script = "PGPASSWORD=$(cat /run/secrets/postgres_password) exec psql -U postgres -d app -At --quiet"
        return subprocess.Popen(
            ["docker", "compose", "exec", "-T", "db", "bash", "-c", script],
            cwd=self.folder,
            env=ENVIRONMENT,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            bufsize=1,
        )

    def log_line(self, service, request_id):
        """Return a service's log line of a request, parsed."""
        return log_line(self, service, request_id)

    def is_healthy(self, service):
        """Run a service's health check now; Docker's own result is late."""
        container = self.compose("ps", "--quiet", service).stdout.strip()
        _, *check = json.loads(docker("inspect", "--format={{json .Config.Healthcheck.Test}}", container).stdout)
        words = check if len(check) > 1 else ["sh", "-c", *check]
        return docker("exec", container, *words, check=False).returncode == 0

    def history(self):
        """Return the history, oldest first."""
        return [json.loads(line) for line in (self.folder / "state/history.jsonl").read_text().splitlines()]

    def write_secret(self, name, text):
        """Overwrite a secret's file in place, since containers have it mounted."""
        (self.folder / "secrets" / name).write_text(text)

    def volumes(self):
        """Return the current and previous volumes of the database."""
        filters = (f"label=com.docker.compose.project={self.name}", "label=com.docker.compose.volume=db")
        return set(docker("volume", "ls", "--quiet", *[f"--filter={each}" for each in filters]).stdout.split())

    def backups(self):
        """Return the backups, oldest first."""
        return json.loads(self.ops("backups", "--json").stdout)["backups"]

    def backup_errors(self):
        """Return the errors of the backup jobs that fail or never succeeded."""
        jobs = self.status()["backups"]
        return [
            jobs[job].get("error", "never succeeded")
            for job in ("wal", "base", "dump")
            if "succeeded" not in jobs[job] or "error" in jobs[job]
        ]

    def destroy(self):
        """Remove the containers, volumes and images."""
        self.compose("down", "--volumes", "--remove-orphans", "--timeout", "2", check=False)
        left = docker("ps", "--all", "--quiet", f"--filter=label=com.docker.compose.project={self.name}").stdout.split()
        if left:
            docker("rm", "--force", "--volumes", *left, check=False)
        if self.volumes():
            docker("volume", "rm", "--force", *self.volumes(), check=False)
        docker("image", "rm", "--force", *[f"{self.name}:{tag}" for tag in TAGS], check=False)


def steps(output):
    """Return the duration of each step that ops printed."""
    return {name: float(seconds) for name, seconds in STEP.findall(output)}
