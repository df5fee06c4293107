"""A temporary clone of the project, with one test a level, to push from."""

import os
import re
import shutil
import subprocess
import sys

from tests.support.helpers import ROOT, free_port
from tests.support.stack.project import IGNORED

TEST = '''"""The only test of this clone."""


def test_sum():
    """One and one are two."""
    assert sum([1, 1]) == {total}
'''
IMAGE_TEST = '''"""The only image test of this clone."""

import os
import subprocess

import pytest


@pytest.mark.skipif("IMAGE" not in os.environ, reason="needs an image")
def test_release():
    """The image is named by its digest and contains the pushed commit."""
    shown = subprocess.check_output(["docker", "run", "--rm", os.environ["IMAGE"], "printenv", "RELEASE"], text=True)
    assert "@sha256:" in os.environ["IMAGE"]
    assert shown.strip() == {commit}
'''
ONLY = '''

def pytest_ignore_collect(collection_path):
    """Collect no other test than this clone's."""
    own = {"test_unit.py", "test_integration.py", "test_image.py", "test_release.py"}
    return True if collection_path.name.startswith("test_") and collection_path.name not in own else None
'''
BROKEN = '''

@app.before_request
def fail() -> None:
    """Fail every API request, in production only."""
    if app.config["ENVIRONMENT"] == "production" and request.path.startswith("/api/"):
        raise RuntimeError("broken on purpose")
'''
IDENTITY = ("-c", "user.name=Test", "-c", "user.email=test@shop.example", "-c", "commit.gpgsign=false")


class Clone:
    """A git repository in FOLDER with the project in one commit on main."""

    def __init__(self, folder, name):
        self.folder, self.name = folder, name
        shutil.copytree(ROOT, folder, ignore=IGNORED)
        self._cut_tests()
        self._make_unique()
        self.git("init", "--quiet", "--initial-branch", "main")
        self.git("remote", "add", "origin", "https://github.com/Some-Body/My-Shop.git")
        self.commit()

    def _cut_tests(self):
        """Run only one test each for unit, integration and the image; the other files stay for the linters."""
        for level in ("unit", "integration"):
            self.write(f"tests/{level}/test_{level}.py", TEST.format(total=2))
        self.write("tests/stack/release/test_image.py", IMAGE_TEST.format(commit='os.environ["GITHUB_SHA"]'))
        self.write("tests/stack/release/test_release.py", TEST.format(total=2))
        conftest = self.folder / "tests/conftest.py"
        conftest.write_text(conftest.read_text() + ONLY)
        subprocess.run([sys.executable, "scripts/guarantees_page.py"], cwd=self.folder, timeout=60, check=True)

    def _make_unique(self):
        """Make names and ports unique, so that two runs can share an engine; run the stack level as one part."""
        port = str(free_port())
        for path in (self.folder / ".github" / "workflows").iterdir():
            text = re.sub(r"(?m)^name: ", f"name: {self.name}-", path.read_text())
            text = re.sub(r"part: \[.*\]", "part: [1]", text).replace("/10\n", "/1\n")
            path.write_text(text.replace("15432", port))

    def write(self, name, text):
        """Write a file."""
        path = self.folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)

    def fail_a_test(self):
        """Make the unit test fail."""
        self.write("tests/unit/test_unit.py", TEST.format(total=3))

    def fail_an_image_test(self):
        """Make the image test fail."""
        self.write("tests/stack/release/test_image.py", IMAGE_TEST.format(commit='"another"'))

    def break_the_api(self):
        """Make the application pass its tests and become ready in production, but return 500 from the API."""
        text = (self.folder / "wsgi.py").read_text()
        flask = "from flask.cli import load_dotenv"
        assert flask in text
        self.write("wsgi.py", text.replace(flask, f"from flask import request\n{flask}") + BROKEN)

    def commit(self):
        """Commit all changes, even if there are none, and return the commit."""
        self.git("add", "--all")
        self.git(*IDENTITY, "commit", "--quiet", "--allow-empty", "--message", "A change")
        return self.git("rev-parse", "HEAD")

    def undo(self):
        """Remove the last commit."""
        self.git("reset", "--quiet", "--hard", "HEAD~1")

    def install(self, runner):
        """Create the virtual environment once; all jobs share this folder."""
        subprocess.run([*self.in_runner(runner), "make", ".venv/dev"], capture_output=True, timeout=300, check=True)

    def remove(self, runner):
        """Remove the folder from inside a runner, whose user owns some of its files."""
        subprocess.run([*self.in_runner(runner), "sh", "-c", "rm -rf ..?* .[!.]* *"], timeout=60, check=True)

    def in_runner(self, runner):
        """Return the argv prefix that runs a command in this folder, in a container."""
        return ["docker", "run", "--rm", "--volume", f"{self.folder}:{self.folder}", "--workdir", self.folder, runner]

    def git(self, *words):
        """Run git without the user's settings and return its output."""
        environment = {**os.environ, "GIT_CONFIG_GLOBAL": os.devnull, "GIT_CONFIG_NOSYSTEM": "1"}
        done = subprocess.run(
            ["git", *words], cwd=self.folder, env=environment, capture_output=True, text=True, timeout=60, check=True
        )
        return done.stdout.strip()
