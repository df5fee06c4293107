"""A registry and a server to deploy to, each a container; the server runs its own Docker engine and sshd."""

import json
import secrets
import subprocess

from tests.support.helpers import free_port, wait_for
from tests.support.stack.compose import docker

HOST = "shop.example"
BUNDLE = ("docker-compose.prod.yml", "nginx", "ops", "deploy")
BASES = ("nginx:1.30", "postgres:18", "redis:8", "certbot/certbot:v5.5.0")
FOLDER = "/srv/myapp"
PASSWORD = secrets.token_hex(8)  # for every service that needs one


class Machines:
    """The machines of one run, under a unique name; `destroy` removes them."""

    def __init__(self, sources):
        self.name = f"workflow-{secrets.token_hex(4)}"
        self.registry = f"localhost:{free_port()}"
        self.sources = sources
        self.server = f"{self.name}-server"

    def image(self, kind):
        """Build an image and return its name."""
        name = f"{self.name}-{kind}"
        docker("build", "--quiet", "--tag", name, str(self.sources / kind), timeout=300)
        return name

    def start(self):
        """Start the registry, and the server with its services."""
        port = self.registry.rpartition(":")[2]
        docker("network", "create", self.name)
        words = ("run", "--detach", "--network", self.name)
        docker(*words, "--name", f"{self.name}-registry", "--network-alias", "registry",
               "--publish", f"127.0.0.1:{port}:5000", "registry:2")  # fmt: skip
        docker(*words, "--name", self.server, "--privileged", "--volume", f"{self.name}:/var/lib/docker",
               "--env", f"REGISTRY_PORT={port}", self.image("server"))  # fmt: skip
        wait_for(lambda: docker("exec", self.server, "docker", "info", check=False).returncode == 0, seconds=60)
        wait_for(lambda: self.run("ssh-keyscan", "-p", "2222", "127.0.0.1"), seconds=20)

    def keys(self, folder):
        """Create the deploy key and the signing key in FOLDER, and return it."""
        folder.mkdir()
        make = "ssh-keygen -q -t ed25519 -N '' -f deploy && cosign generate-key-pair && chown $(stat -c %u:%g .) *"
        words = ("--volume", f"{folder}:/keys", "--workdir", "/keys", "--env", f"COSIGN_PASSWORD={PASSWORD}")
        docker("run", "--rm", *words, f"{self.name}-server", "sh", "-c", make)
        return folder

    def run(self, *words, user="root", check=True, stdin=None):
        """Run a command on the server and return its output."""
        command = ["docker", "exec", "--interactive", "--user", user, "--workdir", FOLDER, self.server, *words]
        done = subprocess.run(
            command,
            input=stdin,
            stdin=None if stdin is not None else subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=120,
            check=False,
        )
        assert done.returncode == 0 or not check, f"{' '.join(words)}\n{done.stdout}{done.stderr}"
        return done.stdout

    def load(self, *images):
        """Copy images into the server's engine."""
        with subprocess.Popen(["docker", "save", *images], stdout=subprocess.PIPE) as saved:
            load = ["docker", "exec", "--interactive", self.server, "docker", "load", "--quiet"]
            subprocess.run(load, stdin=saved.stdout, capture_output=True, timeout=200, check=True)

    def set_up(self, project, keys):
        """Set the server up for its first release, as an operator would."""
        for name in BUNDLE:
            docker("cp", "--quiet", str(project / name), f"{self.server}:{FOLDER}/{name}")
        self.run("chown", "-R", "deploy:deploy", FOLDER)
        self.run("python3", "-m", "ops", "init", "--host", HOST, user="deploy")
        self.write("secrets/cosign.pub", (keys / "cosign.pub").read_text())
        allowed = f'restrict,command="cd {FOLDER} && exec python3 -m ops forced-command" '
        self.write("/home/deploy/.ssh/authorized_keys", allowed + (keys / "deploy.pub").read_text())

    def write(self, name, text):
        """Write a file as the deploy user."""
        self.run("sh", "-c", f"umask 077; cat >{name}", user="deploy", stdin=text)

    def known_hosts(self, key="/etc/ssh/ssh_host_ed25519_key.pub"):
        """Return the server's known_hosts line."""
        return f"[{HOST}]:2222 {self.run('cat', key)}"

    def address(self):
        """Return the server's address."""
        return docker(
            "inspect", "--format", "{{range .NetworkSettings.Networks}}{{.IPAddress}}{{end}}", self.server
        ).stdout.strip()

    def get(self, path):
        """Request the site over HTTPS and return status and body."""
        url, trusted = f"https://{HOST}{path}", f"{FOLDER}/certificates/live/fullchain.pem"
        words = ("--silent", "--max-time", "5", "--cacert", trusted, "--resolve", f"{HOST}:443:127.0.0.1")
        body, _, status = self.run("curl", *words, "--write-out", "\n%{http_code}", url, check=False).rpartition("\n")
        return int(status or 0), body

    def release(self):
        """Return the release that serves."""
        status, body = self.get("/health/version")
        return json.loads(body)["release"] if status == 200 else None

    def history(self):
        """Return the successful commands of the server's history with their releases."""
        entries = json.loads(self.run("python3", "-m", "ops", "status", "--json", user="deploy"))["history"]
        return [(entry["command"], entry["release"]) for entry in entries if entry["result"] == "ok"]

    def tags(self):
        """Return the names of the pushed images."""
        names = docker("image", "ls", "--format", "{{.Repository}}:{{.Tag}}", f"{self.registry}/*/*").stdout
        return names.split()

    def destroy(self):
        """Remove every container, network, volume and image."""
        for kind in ("server", "registry"):
            docker("rm", "--force", "--volumes", f"{self.name}-{kind}", check=False)
        docker("network", "rm", self.name, check=False)
        docker("volume", "rm", "--force", self.name, check=False)
        ours = [f"{self.name}-{kind}" for kind in ("server", "runner")]
        docker("image", "rm", "--force", *ours, *self.tags(), check=False)
