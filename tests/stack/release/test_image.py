"""What is in the image, and how it behaves when it is run alone."""

import os
import re
import secrets
import subprocess
import tarfile
import time
from types import SimpleNamespace

import pytest

from tests.support.helpers import wait_for
from tests.support.stack.compose import docker
from tests.support.stack.project import CANARY, copy

UNWANTED = re.compile(r"(^|/)(\.env|\.flaskenv|\.git|tests|backups|certbot|Makefile|docker-compose\.yml)(/|$)")
BASE = "python:3.14-slim"
SIZE = 70_000_000  # bytes
SMALL = 1_000_000  # bytes; a canary is some 30
PRODUCTION = {
    "SECRET_KEY": "x7Gq2mZp9sLw4kTv8nBr3cYd6hJf1aEu0iOo5",
    "DATABASE_URL": "postgresql://app@db.invalid/app",
    "REDIS_URL": "redis://redis.invalid",
    "TRUSTED_HOSTS": "shop.example,www.shop.example",
}
SETTINGS = [f"--env={name}={value}" for name, value in PRODUCTION.items()]
QUICK_HEALTH = ["--health-interval=1s", "--health-retries=1"]


@pytest.fixture(scope="module")
def layers(image, tmp_path_factory):
    """Return every path in every layer of the image that our own Dockerfile's COPY reaches, with small files' bytes."""
    path = tmp_path_factory.mktemp("image") / "image.tar"
    docker("save", "--output", str(path), image)
    with tarfile.open(path) as saved:
        files = [member for member in saved if member.isfile() and not member.name.endswith(".json")]
        found = [entry for member in files for entry in entries(saved.extractfile(member))]
    path.unlink()
    return found


def entries(blob):
    """Return the paths in a layer, and the bytes of small files; nothing for a blob that is no layer."""
    try:
        with tarfile.open(fileobj=blob) as layer:
            return [(member.name, content(layer, member)) for member in layer]
    except tarfile.ReadError:
        return []


def content(layer, member):
    """Return a small file's bytes."""
    return layer.extractfile(member).read() if member.isfile() and member.size < SMALL else b""


def test_no_canary_is_in_any_layer(layers):
    """Dumps, keys and .env files that lie in the project do not reach the image."""
    assert "srv/app/routes/health.py" in {name for name, _ in layers}
    assert [name for name, data in layers if CANARY.encode() in data] == []


def test_only_what_runs_is_in_the_image(layers):
    """No .env, .flaskenv, .git, tests or development file of the project is in any layer."""
    assert [name for name, _ in layers if name.startswith("srv/") and UNWANTED.search(name)] == []


def test_the_image_is_small(image, figure):
    """What the Dockerfile adds to its base image is at most 70 MB."""
    sizes = docker("image", "inspect", "--format={{.Size}}", image, BASE).stdout.split()
    added = int(sizes[0]) - int(sizes[1])
    figure(f"image: {added / 1e6:.1f} MB over {BASE}")
    assert added <= SIZE


def test_bytecode_is_there(image):
    """Nothing has to be compiled when the application starts: on a read-only disk it would be at each start."""
    script = "import app, flask, sqlalchemy, config; print(*(m.__cached__ for m in (app, flask, sqlalchemy, config)))"
    paths = docker("run", "--rm", "--network=none", image, "python", "-c", script).stdout.split()
    assert len(docker("run", "--rm", "--network=none", image, "ls", *paths).stdout.split()) == len(paths)


def test_a_change_of_code_installs_nothing_again(tmp_path, figure):
    """After a change of one line the dependencies come from the cache of the first build."""
    folder, name = tmp_path / "project", f"build-{secrets.token_hex(4)}"
    copy(folder)
    try:
        cold = build(folder, name, "--no-cache")
        with (folder / "app/__init__.py").open("a") as file:
            file.write(f"# {secrets.token_hex(8)}\n")  # a line that no build has seen
        changed = build(folder, name)
    finally:
        docker("image", "rm", "--force", name, check=False)
    figure(f"build without a cached layer: {cold.seconds:.1f} s, after a change of one line: {changed.seconds:.1f} s")
    assert not cached(cold.log, "pip install")
    assert cached(changed.log, "pip install")
    assert not cached(changed.log, "COPY app app")


def build(folder, name, *words):
    """Build the image; return the log and the seconds."""
    began = time.monotonic()
    done = docker("build", "--progress=plain", *words, f"--tag={name}", str(folder), timeout=300)
    return SimpleNamespace(log=done.stderr, seconds=time.monotonic() - began)


def cached(log, text):
    """Whether the step with this text came from the cache."""
    number = re.search(rf"^(#\d+) \[.*{re.escape(text)}", log, re.MULTILINE)[1]
    return f"{number} CACHED" in log


def test_nothing_can_be_installed_or_compiled(image):
    """The image has neither pip nor a compiler."""
    script = "command -v pip pip3 gcc cc make; python -m pip --version 2>&1; exit 0"
    output = docker("run", "--rm", "--network=none", image, "sh", "-c", script).stdout
    assert re.fullmatch(r".*No module named pip\n", output), output


def test_production_with_nothing_set_names_every_missing_variable(image):
    """The image with no setting does not start, and says all that it needs."""
    done = docker("run", "--rm", "--network=none", image, check=False)
    assert done.returncode != 0
    assert [name for name in PRODUCTION if f"  {name}: " not in done.stdout + done.stderr] == []


def test_an_unknown_environment_is_refused(image):
    """An unknown FLASK_ENV does not start, all else being well."""
    done = docker("run", "--rm", "--network=none", *SETTINGS, "--env=FLASK_ENV=foo", image, check=False)
    assert done.returncode != 0
    assert "FLASK_ENV: 'foo' is not known" in done.stdout + done.stderr


def test_production_is_healthy_on_a_read_only_disk(image, container):
    """With production's settings, trusted hosts among them, and nothing to write to but /tmp it turns healthy."""
    started = container("--read-only", "--tmpfs=/tmp", "--cap-drop=ALL", "--network=none", *SETTINGS, image)
    wait_for(lambda: health(started) == "healthy", seconds=30)


def test_a_frozen_server_turns_unhealthy(image, container):
    """A Gunicorn that accepts connections and answers none is found out, and found well again."""
    started = container("--init", "--network=none", *QUICK_HEALTH, *SETTINGS, image)
    wait_for(lambda: health(started) == "healthy", seconds=30)
    signal_all(started, "STOP")
    wait_for(lambda: health(started) == "unhealthy", seconds=30)
    signal_all(started, "CONT")
    wait_for(lambda: health(started) == "healthy", seconds=30)


@pytest.mark.parametrize("quota", [0.5, 1.5])
def test_the_cpu_quota_is_seen(image, quota):
    """In a container of half a CPU the server's settings count half a CPU, whatever the host has."""
    if quota > os.cpu_count():
        pytest.skip("this machine has one CPU")
    script = "import runpy; print(runpy.run_path('gunicorn.conf.py')['cpus']())"
    done = docker("run", "--rm", "--network=none", f"--cpus={quota}", image, "python", "-c", script)
    assert float(done.stdout) == quota


def test_the_workers_follow_the_quota(image):
    """Half a CPU gets two workers, so that one can die; each further CPU one; without Redis there is one."""
    whole = os.cpu_count()
    assert workers(image, "--cpus=0.5") == 2
    assert workers(image, f"--cpus={whole}") == max(2, whole)
    assert workers(image, "--cpus=0.5", "--env=FLASK_ENV=development", "--env=REDIS_URL=") == 1


def workers(image, *words):
    """Return how many workers Gunicorn would start."""
    shown = docker("run", "--rm", "--network=none", *SETTINGS, *words, image, "gunicorn", "--print-config").stdout
    return int(re.search(r"^workers\s+= (\d+)$", shown, re.MULTILINE)[1])


def health(started):
    """Return the container's health."""
    return docker("inspect", "--format={{.State.Health.Status}}", started).stdout.strip()


def signal_all(started, name):
    """Send a signal to every process in the container but its init."""
    command = ["docker", "exec", started, "bash", "-c", f"kill -{name} -1"]
    subprocess.run(command, capture_output=True, check=False)
