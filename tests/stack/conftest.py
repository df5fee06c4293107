"""The stack level: the bundle as a user runs it, through Docker Compose commands and HTTP only."""

import contextlib
import itertools
import json
import os
import secrets
import subprocess
from types import SimpleNamespace

import pytest

from tests.support import selection
from tests.support.helpers import ROOT, wait_for
from tests.support.stack.compose import Stack, docker, has_engine
from tests.support.stack.edge import Edge
from tests.support.stack.project import copy
from tests.support.stack.server import Registry, Server

HERE = ROOT / "tests" / "stack"
DURATIONS = ROOT / "tests/durations.json"
BUILD_TIMEOUT_S = 400
ROTATION = pytest.StashKey[str]()

if not has_engine():  # test_engine.py reports the skipped level in one line
    collect_ignore = [str(path.relative_to(HERE)) for path in HERE.rglob("test_*.py") if path.name != "test_engine.py"]


def pytest_collection_modifyitems(config, items):
    """Give each test the time that an uncached image build takes, and keep the tests that the options select."""
    for item in items:
        own = item.get_closest_marker("timeout")
        if HERE in item.path.parents and not (own and own.args[0] > BUILD_TIMEOUT_S):
            item.add_marker(pytest.mark.timeout(BUILD_TIMEOUT_S))
    chosen = select(config, items)
    if chosen is not None:
        config.hook.pytest_deselected(items=[item for item in items if item not in chosen])
        items[:] = chosen


def select(config, items):
    """Return the tests that `--part` or `--minutes` choose, or None without these options."""
    wanted, minutes = config.getoption("part"), config.getoption("minutes")
    if wanted:
        number, count = map(int, wanted.split("/"))
        names = selection.part(file_seconds(items), number, count)
    elif minutes is not None:
        items = [item for item in items if not item.get_closest_marker("smoke")]  # `make test` runs these
        commit = subprocess.check_output(["git", "rev-parse", "HEAD"], cwd=ROOT, text=True).strip()
        seconds = file_seconds(items)
        names = selection.rotation(seconds, commit, minutes * 60)
        config.stash[ROTATION] = f"commit {commit[:12]} chooses {len(names)} of {len(seconds)} files: {' '.join(names)}"
    else:
        return None
    return [item for item in items if relative(item) in names]


def file_seconds(items):
    """Return the recorded time of each file."""
    known = json.loads(DURATIONS.read_text())
    return {name: known.get(name, selection.UNKNOWN_S) for name in sorted({relative(item) for item in items})}


def relative(item):
    """Return the path of a test's file in the project."""
    return item.path.relative_to(ROOT).as_posix()


def pytest_report_collectionfinish(config):
    """Name the files that `--minutes` chose."""
    return config.stash.get(ROTATION, [])


@pytest.fixture(scope="session")
def project(tmp_path_factory):
    """A copy of the project, with files in it that must stay out of the image."""
    folder = tmp_path_factory.mktemp("stack") / "project"
    copy(folder)
    return folder


@pytest.fixture(scope="session")
def image(project):
    """The production image: the digest in IMAGE, or one built from the project."""
    given = os.environ.get("IMAGE")
    name = given or f"image-{secrets.token_hex(4)}"
    if given:
        docker("pull", "--quiet", given, timeout=300)
    else:
        docker("build", "--quiet", f"--tag={name}", str(project), timeout=300)
    yield name
    if not given:
        docker("image", "rm", "--force", name, check=False)


@pytest.fixture(scope="session")
def first_start(project):
    """Start the development stack without any setting, record the first responses, and remove it at the end."""
    stack = Stack(project)
    try:
        stack.compose("build", "--quiet")
        completed = stack.compose("up", "--detach", "--wait", check=False)
        paths = ("/health", "/health/ready", "/api/products")
        responses = {path: stack.request(path) for path in paths} if completed.returncode == 0 else {}
        yield SimpleNamespace(
            stack=stack, completed=completed, responses=responses, ps=stack.ps(), states=stack.states()
        )
    finally:
        stack.destroy()


@pytest.fixture(scope="session")
def running(first_start):
    """The development stack, logging JSON."""
    stack = first_start.stack
    stack.settings["LOG_FORMAT"] = "json"
    stack.up()
    return stack


@pytest.fixture
def stack(running):
    """The development stack; repaired after each test."""
    yield running
    running.repair()


@pytest.fixture(scope="session")
def token(running):
    """A token with the scope `products`, created with the command line."""
    return running.compose(
        "exec", "-T", "web", "flask", "token", "create", "stack", "--scope", "products"
    ).stdout.strip()


@pytest.fixture(scope="session")
def new_product(running, token):
    """Return a function that creates a product and returns the response."""
    numbers = itertools.count(1)

    def create():
        product = {"sku": f"STACK-{next(numbers)}", "name": "Mug", "price": 100, "currency": "EUR"}
        return running.request("/api/products", "POST", json=product, token=token)

    return create


@pytest.fixture
def product(new_product):
    """The path of a new product."""
    return new_product().headers["Location"]


@pytest.fixture
def container():
    """Return a function that runs `docker run --detach` and returns the container's id; all are removed at the end."""
    started = []

    def run(*command):
        started.append(docker("run", "--detach", *command).stdout.strip())
        return started[-1]

    yield run
    if started:
        docker("rm", "--force", "--volumes", *started, check=False)


@pytest.fixture(scope="session")
def figure(request):
    """Return a function that prints a figure between the test results, also for tests that pass."""
    capture = request.config.pluginmanager.getplugin("capturemanager")

    def show(text):
        with capture.global_and_fixture_disabled():
            print(f"\n  {text}")  # noqa: T201 - what it is for

    return show


@pytest.fixture(scope="session")
def registry(image):
    """A registry whose releases are variants of the image."""
    registry = Registry(image)
    try:
        registry.start()
        yield registry
    finally:
        registry.destroy()


@pytest.fixture(scope="session")
def one(registry):
    """The first release."""
    return registry.release("one")


@pytest.fixture(scope="module")
def new_server(tmp_path_factory, one):
    """Return a function that creates a server with the first release's bundle, nothing deployed.

    The module's end removes it, because even idle containers use CPU.
    """
    with contextlib.ExitStack() as servers:
        yield lambda **options: set_up(servers, tmp_path_factory.mktemp("server"), one, options)


@pytest.fixture(scope="session")
def server(tmp_path_factory, one):
    """A server on which the first release serves; a test leaves it with some good release."""
    with contextlib.ExitStack() as servers:
        server = set_up(servers, tmp_path_factory.mktemp("server"), one, {})
        server.ops("deploy", one)
        wait_for(lambda: set(server.status()["services"].values()) == {"healthy"}, seconds=120, pause=0.5)
        yield server


@pytest.fixture(scope="session")
def data(tmp_path_factory, one):
    """A server with backups, for tests that damage its database; a test leaves it healthy."""
    with contextlib.ExitStack() as servers:
        server = set_up(servers, tmp_path_factory.mktemp("server"), one, {})
        server.ops("deploy", one)
        wait_for(lambda: not any(server.backup_errors()), seconds=60)
        yield server


def set_up(servers, folder, release, options):
    """Create a server that SERVERS removes."""
    server = Server(folder, **options)
    servers.callback(server.destroy)
    server.unpack(release)
    server.init()
    return server


@pytest.fixture(scope="module")
def new_edge(tmp_path_factory, image):
    """Return a function that starts nginx with these settings in front of a stub."""
    with contextlib.ExitStack() as edges:
        yield lambda **settings: start_edge(edges, tmp_path_factory.mktemp("edge"), image, settings)


@pytest.fixture(scope="session")
def edge(tmp_path_factory, image):
    """Nginx with default settings but no limits in the tests' way."""
    with contextlib.ExitStack() as edges:
        yield start_edge(edges, tmp_path_factory.mktemp("edge"), image, {})


def start_edge(edges, folder, image, settings):
    """Start nginx in front of a stub; EDGES removes them."""
    edge = Edge(folder, image, **settings)
    edges.callback(edge.destroy)
    edge.start((ROOT / "tests/support/stack/stub.py").read_text())
    return edge


@pytest.fixture(scope="session")
def tools():
    """The image with the programs that attack and measure."""
    name = f"tools-{secrets.token_hex(4)}"
    docker("build", "--quiet", f"--tag={name}", str(ROOT / "tests/support/stack/tools"), timeout=300)
    yield name
    docker("image", "rm", "--force", name, check=False)
