"""A push to main: the workflow itself is run, from the push to the release that serves on a server of its own."""

from concurrent.futures import ThreadPoolExecutor

import pytest

from tests.support.helpers import ROOT
from tests.support.stack.workflow.clone import Clone
from tests.support.stack.workflow.pushes import Pushes
from tests.support.stack.workflow.server import BASES, Machines

pytestmark = pytest.mark.timeout(500)  # the first one waits for the machines too


@pytest.fixture(scope="module")
def machines():
    """The registry and the server, which has the base images and nothing else yet."""
    made = Machines(ROOT / "tests/support/stack/workflow")
    try:
        yield made
    finally:
        made.destroy()


@pytest.fixture(scope="module")
def pushes(machines, tmp_path_factory):
    """A repository whose main is deployed to that server."""
    folder = tmp_path_factory.mktemp("workflow")
    clone = Clone(folder / "clone", machines.name)
    with ThreadPoolExecutor() as pool:
        runner = pool.submit(clone.install, machines.image("runner"))
        machines.start()
        machines.load(*BASES)
        machines.set_up(clone.folder, machines.keys(folder / "keys"))
        runner.result()
    made = Pushes(clone, machines, folder)
    yield made
    made.tidy()


@pytest.fixture(scope="module")
def first(pushes):
    """The push that brings the first release."""
    return pushes.push()


@pytest.fixture
def served(first, machines):
    """The commit that serves before the test's own push."""
    assert machines.release() == first.commit, first.output
    return first.commit


def test_a_push_ends_with_its_release_serving(first, machines, capsys):
    """A push to main is tested, built, signed and deployed, and its commit answers over HTTPS."""
    with capsys.disabled():
        print(f"\nfrom push to serving, on a server that was empty: {first.seconds:.0f} s")  # noqa: T201 - a figure
    assert first.succeeded, first.output
    assert machines.release() == first.commit


@pytest.mark.sweep(3, "pushes")
def test_a_failing_test_deploys_nothing(served, pushes, machines):
    """A push whose tests fail builds no image, and what served goes on serving."""
    pushed = pushes.push(pushes.clone.fail_a_test)
    assert not pushed.succeeded
    assert not [tag for tag in machines.tags() if pushed.commit in tag]
    assert machines.release() == served


@pytest.mark.sweep(3, "pushes")
def test_an_image_that_fails_its_trial_is_neither_signed_nor_deployed(served, pushes, machines):
    """What is deployed is the very image that was tried: one that failed is not even signed."""
    pushed = pushes.push(pushes.clone.fail_a_trial)
    assert not pushed.succeeded
    assert "1 failed" in pushed.step("Try the digest")
    assert "Sign the digest" not in pushed.output
    assert machines.release() == served


@pytest.mark.sweep(3, "pushes")
def test_a_broken_image_is_red_and_never_serves(served, pushes, machines):
    """A release that answers the API with 500 ends red before a user meets it, and what served goes on serving."""
    pushed = pushes.push(pushes.clone.break_the_api)
    assert not pushed.succeeded
    assert "500" in pushed.step("Deploy the digest")
    assert machines.release() == served
    assert machines.get("/api/products")[0] == 200


@pytest.mark.sweep(3, "pushes")
def test_what_is_not_seen_from_outside_is_rolled_back(served, pushes, machines):
    """A release that the server takes, but that is not found at the site's address, is taken back; it ends red."""
    pushed = pushes.push(SITE_URL=f"{pushes.variables['SITE_URL']}/elsewhere")
    assert not pushed.succeeded
    assert machines.done()[-2:] == [("deploy", pushed.commit), ("rollback", served)]
    assert machines.release() == served


@pytest.mark.sweep(3, "pushes")
def test_an_unsigned_image_is_refused(served, pushes, machines):
    """Without the signing key the image is not signed, and the server, which has the public half, refuses it."""
    pushed = pushes.push(without=("COSIGN_PRIVATE_KEY",))
    assert not pushed.succeeded
    assert "no signatures found" in pushed.step("Deploy the digest")
    assert machines.release() == served


@pytest.mark.sweep(3, "pushes")
def test_another_host_key_gets_no_deploy(served, pushes, machines):
    """A server that does not have the pinned host key is not talked to."""
    pushed = pushes.push(DEPLOY_KNOWN_HOSTS=machines.known_hosts("/etc/ssh/another_key.pub"))
    assert not pushed.succeeded
    assert "Host key verification failed" in pushed.step("Deploy the digest")
    assert machines.release() == served


@pytest.mark.sweep(3, "pushes")
def test_a_missing_setting_is_named(served, pushes, machines):
    """A deploy that lacks a setting ends with its name and what to do, and the server hears nothing of it."""
    pushed = pushes.push(without=("DEPLOY_SSH_KEY",))
    assert not pushed.succeeded
    assert "DEPLOY_SSH_KEY is missing. Set this secret" in pushed.output
    assert machines.release() == served


@pytest.mark.sweep(3, "pushes")
def test_without_a_server_a_push_is_green_and_builds_nothing(pushes, machines):
    """In a repository that names no server, a push is tested, and a notice says why nothing is deployed."""
    pushed = pushes.push(DEPLOY_HOST="")
    assert pushed.succeeded, pushed.output
    assert "Set the repository variable DEPLOY_HOST" in pushed.output
    assert not [tag for tag in machines.tags() if pushed.commit in tag]
