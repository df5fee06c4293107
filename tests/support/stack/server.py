"""A server as an operator has it: a folder with a release's bundle, `python3 -m ops`, and a registry to deploy from."""

import json
import re
import secrets
import subprocess
import sys

from tests.support.helpers import free_port, wait_for
from tests.support.stack.client import ask_tls
from tests.support.stack.compose import ENVIRONMENT, docker, log_line

HOST = "shop.example"
# The tests ask from one address; and no slow client is given up, so that what attacks is held to the end.
LIMITS = {"API_RATE": 100_000, "TOKEN_RATE": 100_000, "CLIENT_REQUESTS": 5000, "CLIENT_SECONDS": 60}
TAGS = ("blue", "green", "migrate", "pgbouncer")  # of the images that a server makes or names
STEP = re.compile(r"^  (\w+) done in ([\d.]+) s", re.MULTILINE)


class Registry:
    """A registry of our own, and releases in it that are variants of one image."""

    def __init__(self, base):
        self.base = base
        self.name = f"registry-{secrets.token_hex(4)}"
        self.repository = f"127.0.0.1:{free_port()}/{self.name}"

    def start(self):
        """Start it, and wait until it answers."""
        address = self.repository.split("/", maxsplit=1)[0]
        docker("run", "--detach", f"--name={self.name}", f"--publish={address}:5000", "registry:2")
        wait_for(lambda: docker("pull", f"{self.repository}:none", check=False).stderr.count("manifest unknown"))

    def release(self, name, *lines):
        """Build and push a release of this name, the project's image with these further lines; return it by digest."""
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
        return next(digest for digest in digests if digest.startswith(self.repository))  # another run may have the same

    def destroy(self):
        """Leave nothing behind."""
        docker("rm", "--force", "--volumes", self.name, check=False)
        # By name: under another one, another run may have the same image.
        names = ("--format={{.Repository}}:{{.Tag}}", f"--filter=reference={self.repository}")
        images = docker("image", "ls", *names).stdout.split()
        if images:
            docker("image", "rm", *images, check=False)


class Server:
    """One server's folder, named like no other, with ports of its own."""

    def __init__(self, parent, replicas=1, **settings):
        self.name = f"shop-{secrets.token_hex(4)}"
        self.folder = parent / self.name
        self.folder.mkdir()
        self.http, self.https = free_port(), free_port()
        self.replicas, self.settings = replicas, LIMITS | settings

    def unpack(self, image):
        """Bring the bundle of an image here, as docs/release-path.md says."""
        tar = subprocess.Popen(
            ["docker", "run", "--rm", "--network=none", image, "tar", "-C", "/srv/bundle", "-c", "."],
            stdout=subprocess.PIPE,
        )
        subprocess.run(["tar", "-x", "-C", str(self.folder)], stdin=tar.stdout, timeout=60, check=True)
        tar.stdout.close()
        assert tar.wait(30) == 0

    def init(self):
        """Set the server up, on ports of its own."""
        self.ops("init", "--host", HOST)
        settings = {
            "HTTP_PORT": f"127.0.0.1:{self.http}",
            "HTTPS_PORT": f"127.0.0.1:{self.https}",
            "WEB_REPLICAS": self.replicas,
        }
        with (self.folder / ".env").open("a") as file:
            file.writelines(f"{name}={value}\n" for name, value in (settings | self.settings).items())

    def start_ops(self, *words, start_new_session=False, **environment):
        """Start an ops command and return the process; its output is a pipe."""
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
        """Run an ops command and return what came of it; its output is in stdout."""
        process = self.start_ops(*words, **environment)
        try:
            output, _ = process.communicate(timeout=timeout)
        finally:
            process.kill()
        assert process.returncode == 0 or not check, f"ops {' '.join(words)}\n{output}"
        return subprocess.CompletedProcess(words, process.returncode, output, "")

    def status(self):
        """Return how the server stands."""
        return json.loads(self.ops("status", "--json").stdout)

    def compose(self, *words, check=True, timeout=120):
        """Run a Compose command in the folder, as an operator does."""
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

    def ask(self, path, method="GET", **options):
        """Send a request as a user does: TLS, the published port, the host's name."""
        return ask_tls(self.https, path, method, host=HOST, **options)

    def release(self):
        """Return the release that users meet."""
        answer = self.ask("/health/version")
        return answer.json["release"] if answer.status == 200 else None

    def token(self):
        """Make a token that may change products, as an operator does, in the colour that serves."""
        colour = self.status()["active_colour"]
        words = ("flask", "--app", "wsgi", "token", "create", f"stack-{secrets.token_hex(3)}", "--scope", "products")
        return self.compose("exec", "-T", f"web-{colour}", *words).stdout.strip()

    def sql(self, text):
        """Run SQL as the superuser and return the rows."""
        script = 'PGPASSWORD=$(cat /run/secrets/postgres_password) exec psql -U postgres -d app -At -c "$0"'
        return self.compose("exec", "-T", "db", "bash", "-c", script, text).stdout.splitlines()

    def psql(self):
        """Start a session of the superuser; what is written to it is carried out line by line."""
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
        """Return the line that a service logged for a request, read as JSON."""
        return log_line(self, service, request_id)

    def is_well(self, service):
        """Say what a service's own health check says now; Docker asks it only once in a while, and several times."""
        container = self.compose("ps", "--quiet", service).stdout.strip()
        _, *check = json.loads(docker("inspect", "--format={{json .Config.Healthcheck.Test}}", container).stdout)
        words = check if len(check) > 1 else ["sh", "-c", *check]
        return docker("exec", container, *words, check=False).returncode == 0

    def history(self):
        """Return what was done, oldest first."""
        return [json.loads(line) for line in (self.folder / "state/history.jsonl").read_text().splitlines()]

    def give_secret(self, name, text):
        """Put another text into a secret's file, which stays the same for the containers that have it."""
        (self.folder / "secrets" / name).write_text(text)

    def volumes(self):
        """Return the volumes that are or were the database's."""
        filters = (f"label=com.docker.compose.project={self.name}", "label=com.docker.compose.volume=db")
        return set(docker("volume", "ls", "--quiet", *[f"--filter={each}" for each in filters]).stdout.split())

    def backups(self):
        """Return what there is to restore from, oldest first."""
        return json.loads(self.ops("backups", "--json").stdout)["backups"]

    def backup_faults(self):
        """Return what is wrong with the jobs that make backups: what fails, or has never been done."""
        jobs = self.status()["backups"]
        return [
            jobs[job].get("error", "never done")
            for job in ("wal", "base", "dump")
            if "succeeded" not in jobs[job] or "error" in jobs[job]
        ]

    def destroy(self):
        """Leave nothing behind."""
        self.compose("down", "--volumes", "--remove-orphans", "--timeout", "2", check=False)
        left = docker("ps", "--all", "--quiet", f"--filter=label=com.docker.compose.project={self.name}").stdout.split()
        if left:
            docker("rm", "--force", "--volumes", *left, check=False)
        if self.volumes():
            docker("volume", "rm", "--force", *self.volumes(), check=False)
        docker("image", "rm", "--force", *[f"{self.name}:{tag}" for tag in TAGS], check=False)


def steps(output):
    """Return the seconds of each step that ops has printed."""
    return {name: float(seconds) for name, seconds in STEP.findall(output)}
