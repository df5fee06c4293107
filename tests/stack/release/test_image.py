"""The image: its contents, and how it behaves on its own."""

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

UNWANTED = re.compile(
    r"(^|/)(\.env|\.flaskenv|\.git|tests|backups|Makefile|docker-compose\.yml)(/|$)|^srv/certbot(/|$)"
)
BASE = "python:3.14-slim"
MAX_SIZE = 70_000_000  # bytes
SMALL = 1_000_000  # bytes; a canary has about 30
PRODUCTION = {
    "SECRET_KEY": "x7Gq2mZp9sLw4kTv8nBr3cYd6hJf1aEu0iOo5",
    "DATABASE_URL": "postgresql://app@db.invalid/app",
    "REDIS_URL": "redis://redis.invalid",
    "TRUSTED_HOSTS": "shop.example,www.shop.example",
}
SETTINGS = [f"--env={name}={value}" for name, value in PRODUCTION.items()]
FAST_HEALTH_CHECK = ["--health-interval=1s", "--health-retries=1"]


@pytest.fixture(scope="module")
def layers(image, tmp_path_factory):
    """Every path in every layer that the Dockerfile's COPY adds, with the bytes of small files."""
    path = tmp_path_factory.mktemp("image") / "image.tar"
    docker("save", "--output", str(path), image)
    with tarfile.open(path) as saved:
        files = [member for member in saved if member.isfile() and not member.name.endswith(".json")]
        found = [entry for member in files for entry in entries(saved.extractfile(member))]
    path.unlink()
    return found


def entries(blob):
    """Return the paths in a layer and the bytes of small files; nothing for a blob that is no layer."""
    try:
        with tarfile.open(fileobj=blob) as layer:
            return [(member.name, content(layer, member)) for member in layer]
    except tarfile.ReadError:
        return []


def content(layer, member):
    """Return a small file's bytes."""
    return layer.extractfile(member).read() if member.isfile() and member.size < SMALL else b""


@pytest.mark.guarantee("Dumps, keys and .env files do not reach the image")
def test_no_secret_file_is_in_any_layer(layers):
    """Dumps, keys and .env files of the project do not reach the image."""
    assert "srv/app/routes/health.py" in {name for name, _ in layers}
    assert [name for name, data in layers if CANARY.encode() in data] == []


def test_the_image_has_no_development_files(layers):
    """No .env, .flaskenv, .git, tests or development file is in any layer."""
    assert [name for name, _ in layers if name.startswith("srv/") and UNWANTED.search(name)] == []


def test_the_image_is_small(image, figure):
    """The Dockerfile adds at most 70 MB to its base image."""
    sizes = docker("image", "inspect", "--format={{.Size}}", image, BASE).stdout.split()
    added = int(sizes[0]) - int(sizes[1])
    figure(f"image: {added / 1e6:.1f} MB over {BASE}")
    assert added <= MAX_SIZE


def test_bytecode_is_compiled(image):
    """The image contains compiled bytecode; a read-only root could not cache it at each start."""
    script = "import app, flask, sqlalchemy, config; print(*(m.__cached__ for m in (app, flask, sqlalchemy, config)))"
    paths = docker("run", "--rm", "--network=none", image, "python", "-c", script).stdout.split()
    assert len(docker("run", "--rm", "--network=none", image, "ls", *paths).stdout.split()) == len(paths)


def test_a_code_change_reuses_the_dependency_layer(tmp_path, figure):
    """After a change of one line the build takes the dependencies from its cache."""
    folder, name = tmp_path / "project", f"build-{secrets.token_hex(4)}"
    copy(folder)
    try:
        cold = build(folder, name, "--no-cache")
        with (folder / "app/__init__.py").open("a") as file:
            file.write(f"# {secrets.token_hex(8)}\n")  # no earlier build has seen this line
        changed = build(folder, name)
    finally:
        docker("image", "rm", "--force", name, check=False)
    figure(f"build without cache: {cold.seconds:.1f} s, after a change of one line: {changed.seconds:.1f} s")
    assert not is_cached(cold.log, "pip install")
    assert is_cached(changed.log, "pip install")
    assert not is_cached(changed.log, "COPY app app")


def build(folder, name, *options):
    """Build the image; return the log and the seconds."""
    start = time.monotonic()
    completed = docker("build", "--progress=plain", *options, f"--tag={name}", str(folder), timeout=300)
    return SimpleNamespace(log=completed.stderr, seconds=time.monotonic() - start)


def is_cached(log, text):
    """Whether the step with this text came from the cache."""
    number = re.search(rf"^(#\d+) \[.*{re.escape(text)}", log, re.MULTILINE)[1]
    return f"{number} CACHED" in log


def test_the_image_has_no_pip_and_no_compiler(image):
    """The image has neither pip nor a compiler."""
    script = "command -v pip pip3 gcc cc make; python -m pip --version 2>&1; exit 0"
    output = docker("run", "--rm", "--network=none", image, "sh", "-c", script).stdout
    assert re.fullmatch(r".*No module named pip\n", output), output


def test_without_settings_production_names_every_missing_variable(image):
    """The image does not start without settings and names all that are missing."""
    completed = docker("run", "--rm", "--network=none", image, check=False)
    assert completed.returncode != 0
    assert [name for name in PRODUCTION if f"  {name}: " not in completed.stdout + completed.stderr] == []


def test_an_unknown_environment_is_rejected(image):
    """With an unknown FLASK_ENV the image does not start."""
    completed = docker("run", "--rm", "--network=none", *SETTINGS, "--env=FLASK_ENV=foo", image, check=False)
    assert completed.returncode != 0
    assert "FLASK_ENV: 'foo' is unknown" in completed.stdout + completed.stderr


def test_production_is_healthy_on_a_read_only_root(image, container):
    """With production settings and a read-only root the container becomes healthy."""
    started = container("--read-only", "--tmpfs=/tmp", "--cap-drop=ALL", "--network=none", *SETTINGS, image)
    wait_for(lambda: health(started) == "healthy", seconds=30)


def test_a_frozen_server_becomes_unhealthy(image, container):
    """A Gunicorn that accepts connections without responding becomes unhealthy, and healthy again afterwards."""
    started = container("--init", "--network=none", *FAST_HEALTH_CHECK, *SETTINGS, image)
    wait_for(lambda: health(started) == "healthy", seconds=30)
    signal_all(started, "STOP")
    wait_for(lambda: health(started) == "unhealthy", seconds=30)
    signal_all(started, "CONT")
    wait_for(lambda: health(started) == "healthy", seconds=30)


@pytest.mark.parametrize("quota", [0.5, 1.5])
def test_the_cpu_quota_is_read(image, quota):
    """gunicorn.conf.py reads the container's CPU quota, not the host's count."""
    if quota > os.cpu_count():
        pytest.skip("this machine has one CPU")
    script = "import runpy; print(runpy.run_path('gunicorn.conf.py')['count_cpus']())"
    completed = docker("run", "--rm", "--network=none", f"--cpus={quota}", image, "python", "-c", script)
    assert float(completed.stdout) == quota


@pytest.mark.guarantee("The number of workers follows the container's CPU quota")
def test_the_workers_follow_the_quota(image):
    """Half a CPU gets two workers, each further CPU one more; without Redis there is one."""
    cpus = os.cpu_count()
    assert workers(image, "--cpus=0.5") == 2
    assert workers(image, f"--cpus={cpus}") == max(2, cpus)
    assert workers(image, "--cpus=0.5", "--env=FLASK_ENV=development", "--env=REDIS_URL=") == 1


def workers(image, *options):
    """Return how many workers Gunicorn would start."""
    printed = docker("run", "--rm", "--network=none", *SETTINGS, *options, image, "gunicorn", "--print-config").stdout
    return int(re.search(r"^workers\s+= (\d+)$", printed, re.MULTILINE)[1])


def health(started):
    """Return the container's health."""
    return docker("inspect", "--format={{.State.Health.Status}}", started).stdout.strip()


def signal_all(started, name):
    """Send a signal to every process in the container but its init."""
    command = ["docker", "exec", started, "bash", "-c", f"kill -{name} -1"]
    subprocess.run(command, capture_output=True, check=False)
