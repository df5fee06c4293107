"""A throw-away clone of the project, with next to no tests, to push from."""

import os
import re
import shutil
import subprocess

from tests.support.helpers import ROOT, free_port
from tests.support.stack.project import LEFT_OUT

TEST = '''"""All that is tested in this clone."""


def test_sum():
    """One and one are two."""
    assert sum([1, 1]) == {total}
'''
TRIAL = '''"""All that is tried of an image in this clone."""

import os
import subprocess

import pytest


@pytest.mark.skipif("IMAGE" not in os.environ, reason="there is no image yet")
def test_release():
    """The image that is to be deployed is here, by its digest, and is of the commit that was pushed."""
    shown = subprocess.check_output(["docker", "run", "--rm", os.environ["IMAGE"], "printenv", "RELEASE"], text=True)
    assert "@sha256:" in os.environ["IMAGE"]
    assert shown.strip() == {commit}
'''
BROKEN = '''

@app.before_request
def fail() -> None:
    """Answer nothing but the probes, and that in production only."""
    if app.config["ENVIRONMENT"] == "production" and request.path.startswith("/api/"):
        raise RuntimeError("broken on purpose")
'''
IDENTITY = ("-c", "user.name=Test", "-c", "user.email=test@shop.example", "-c", "commit.gpgsign=false")


class Clone:
    """A git repository in FOLDER with the project's files in one commit on main."""

    def __init__(self, folder, name):
        self.folder, self.name = folder, name
        shutil.copytree(ROOT, folder, ignore=LEFT_OUT)
        self._cut_tests()
        self._set_apart()
        self.git("init", "--quiet", "--initial-branch", "main")
        self.git("remote", "add", "origin", "https://github.com/Some-Body/My-Shop.git")
        self.commit()

    def _cut_tests(self):
        """Keep one test for each of two levels, one of the image, and what the linters need."""
        for pattern in ("test_*.py", "conftest.py"):
            for path in (self.folder / "tests").rglob(pattern):
                path.unlink()
        for level in ("unit", "integration"):
            self.write(f"tests/{level}/test_{level}.py", TEST.format(total=2))
        self.write("tests/stack/release/test_image.py", TRIAL.format(commit='os.environ["GITHUB_SHA"]'))
        self.write("tests/stack/release/test_release.py", TEST.format(total=2))

    def _set_apart(self):
        """Let two runs share an engine: act names containers after the workflow, and a port is the whole machine's."""
        port = str(free_port())
        for path in (self.folder / ".github" / "workflows").iterdir():
            text = re.sub(r"(?m)^name: ", f"name: {self.name}-", path.read_text())
            path.write_text(text.replace("15432", port))

    def write(self, name, text):
        """Write a file."""
        path = self.folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)

    def fail_a_test(self):
        """Let the unit test fail."""
        self.write("tests/unit/test_unit.py", TEST.format(total=3))

    def fail_a_trial(self):
        """Let what is tried of the image fail."""
        self.write("tests/stack/release/test_image.py", TRIAL.format(commit='"another"'))

    def break_the_api(self):
        """Let the application pass its tests, start in production and be ready, and answer 500 to the API's users."""
        text = (self.folder / "wsgi.py").read_text()
        flask = "from flask.cli import load_dotenv"
        assert flask in text
        self.write("wsgi.py", text.replace(flask, f"from flask import request\n{flask}") + BROKEN)

    def commit(self):
        """Commit all that there is, something or nothing, and return the commit."""
        self.git("add", "--all")
        self.git(*IDENTITY, "commit", "--quiet", "--allow-empty", "--message", "A change")
        return self.git("rev-parse", "HEAD")

    def undo(self):
        """Go back to the commit before."""
        self.git("reset", "--quiet", "--hard", "HEAD~1")

    def install(self, runner):
        """Make the Python environment in a runner, once for all jobs, which share this folder."""
        subprocess.run([*self.in_runner(runner), "make", ".venv/dev"], capture_output=True, timeout=300, check=True)

    def remove(self, runner):
        """Remove the folder in a runner, because files in it belong to the runner's user."""
        subprocess.run([*self.in_runner(runner), "sh", "-c", "rm -rf ..?* .[!.]* *"], timeout=60, check=True)

    def in_runner(self, runner):
        """Return the words that run a command in this folder, in a container."""
        return ["docker", "run", "--rm", "--volume", f"{self.folder}:{self.folder}", "--workdir", self.folder, runner]

    def git(self, *words):
        """Run a git command, without the settings of the person who runs the tests, and return its output."""
        environment = {**os.environ, "GIT_CONFIG_GLOBAL": os.devnull, "GIT_CONFIG_NOSYSTEM": "1"}
        done = subprocess.run(
            ["git", *words], cwd=self.folder, env=environment, capture_output=True, text=True, timeout=60, check=True
        )
        return done.stdout.strip()
