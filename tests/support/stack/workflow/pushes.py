"""Pushes to main: act runs the workflow, as GitHub would, with containers as runners."""

import re
import subprocess
import sys
import time
from pathlib import Path
from typing import NamedTuple

from tests.support.stack.compose import ENVIRONMENT, docker
from tests.support.stack.workflow.server import HOST, PASSWORD

STAND_INS = {
    "actions/setup-python": "setup-python",
    "docker/setup-buildx-action": "setup-buildx",
    "docker/login-action": "login",
    "docker/build-push-action": "build-push",
}
CACHE = "act-toolcache"  # a volume that act creates and shares between runs
USES = re.compile(r"uses: ([\w./-]+)@([0-9a-f]{40}) ")


class Pushed(NamedTuple):
    """The result of a push."""

    commit: str
    succeeded: bool
    output: str
    seconds: float

    def step(self, name):
        """Return the output of one step of the workflow."""
        begin, end = f"Run Main {name}\n", f" - Main {name} ["
        return self.output.partition(begin)[2].partition(end)[0]


class Pushes:
    """Pushes to a clone's main branch, and the settings of its repository."""

    def __init__(self, clone, machines, home):
        self.clone, self.machines, self.home = clone, machines, home
        keys = home / "keys"
        self.had_cache = not docker("volume", "inspect", CACHE, check=False).returncode
        self.secrets = {
            "DEPLOY_SSH_KEY": (keys / "deploy").read_text(),
            "COSIGN_PRIVATE_KEY": (keys / "cosign.key").read_text(),
            "COSIGN_PASSWORD": PASSWORD,
            "REGISTRY_PASSWORD": PASSWORD,  # docker login requires one
        }
        self.variables = {
            "REGISTRY": machines.registry,
            "DEPLOY_HOST": HOST,
            "DEPLOY_PORT": "2222",
            "DEPLOY_KNOWN_HOSTS": machines.known_hosts(),
            "SITE_URL": f"https://{HOST}",
            "VERIFY_SECONDS": "5",
        }
        self._prepare()

    def _prepare(self):
        """Write act's settings and the certificate that the runners trust."""
        (self.home / "act").mkdir()
        (self.home / "act" / "actrc").write_text(f"-P ubuntu-latest={self.machines.name}-runner\n")
        (self.home / "site.pem").write_text(self.machines.run("cat", "certificates/live/fullchain.pem"))
        (self.home / "curlrc").write_text("cacert = /site.pem\n")

    def clean_up(self):
        """Remove everything the runs created."""
        self.clone.remove(f"{self.machines.name}-runner")
        for kind in ("container", "network", "volume"):  # act leaves these when it cannot set up a job
            arguments = ("--all",) if kind == "container" else ()
            named = f"name=act-{self.machines.name}"
            left = docker(kind, "ls", *arguments, "--quiet", "--filter", named).stdout.split()
            if left:
                docker(kind, "rm", "--force", *left, check=False)
        if not self.had_cache:
            docker("volume", "rm", CACHE, check=False)

    def push(self, change=None, *, without=(), **variables):
        """Commit a change, run the workflow, remove the commit, and return the result."""
        if change:
            change()
        commit = self.clone.commit()
        start = time.monotonic()
        try:
            code, output = self._act(without, self.variables | variables)
        finally:
            self.clone.undo()
        (self.home / f"{commit}.log").write_text(output)
        return Pushed(commit, code == 0, output, time.monotonic() - start)

    def _act(self, without, variables):
        """Run act and return its exit code and output."""
        secrets = {name: value for name, value in self.secrets.items() if name not in without}
        arguments = [word for name in secrets for word in ("--secret", name)]
        arguments += [word for name, value in variables.items() if value for word in ("--var", f"{name}={value}")]
        command = [str(Path(sys.executable).parent / "act"), "push", *self._fixed_options(), *arguments]
        environment = ENVIRONMENT | secrets | {"XDG_CONFIG_HOME": str(self.home), "NO_COLOR": "1"}
        completed = subprocess.run(
            command, cwd=self.clone.folder, env=environment, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT, text=True, timeout=280, check=False,
        )  # fmt: skip
        return completed.returncode, completed.stdout

    def _fixed_options(self):
        """Return the options that every push shares."""
        container = (
            f"--add-host {HOST}:{self.machines.address()} "
            f"--volume {self.home}/site.pem:/site.pem:ro --volume {self.home}/curlrc:/root/.curlrc:ro"
        )
        return [
            *["--workflows", ".github/workflows/deploy.yml", "--bind", "--pull=false", "--rm", "--no-cache-server"],
            *["--action-cache-path", str(self.home / "cache"), "--container-options", container],
            *[word for pair in self._stand_ins() for word in ("--local-repository", pair)],
        ]

    def _stand_ins(self):
        """Return a local replacement for each action that the workflows use, under the pinned commit."""
        folder = Path(__file__).parent / "actions"
        texts = [path.read_text() for path in (self.clone.folder / ".github" / "workflows").iterdir()]
        used = {match.groups() for text in texts for match in USES.finditer(text)}
        # act itself checks out the pushed commit.
        used = {(name, commit) for name, commit in used if name != "actions/checkout"}
        return [f"{name}@{commit}={folder / STAND_INS[name]}" for name, commit in sorted(used)]
