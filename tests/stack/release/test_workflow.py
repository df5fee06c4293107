"""A push to main: act runs the real workflow, which deploys to a server in a container."""

from concurrent.futures import ThreadPoolExecutor

import pytest

from tests.support.helpers import ROOT
from tests.support.stack.workflow.clone import Clone
from tests.support.stack.workflow.pushes import Pushes
from tests.support.stack.workflow.server import BASES, Machines

pytestmark = pytest.mark.timeout(500)  # the first test also starts the machines


@pytest.fixture(scope="module")
def machines():
    """The registry, and the server with nothing but the base images."""
    made = Machines(ROOT / "tests/support/stack/workflow")
    try:
        yield made
    finally:
        made.destroy()


@pytest.fixture(scope="module")
def pushes(machines, tmp_path_factory):
    """A repository whose main branch is deployed to that server."""
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
    made.clean_up()


@pytest.fixture(scope="module")
def first(pushes):
    """The push that deploys the first release."""
    return pushes.push()


@pytest.fixture
def served(first, machines):
    """The commit that serves before the test pushes."""
    assert machines.release() == first.commit, first.output
    return first.commit


@pytest.mark.guarantee("A push to main ends with its release serving")
def test_a_push_ends_with_its_release_serving(first, machines, capsys):
    """A push to main is tested, built, signed and deployed, and the new release answers over HTTPS."""
    with capsys.disabled():
        print(f"\nfrom push to serving, on an empty server: {first.seconds:.0f} s")  # noqa: T201 - a figure
    assert first.succeeded, first.output
    assert machines.release() == first.commit


@pytest.mark.guarantee("A push with a failing test, image, signature or host key leaves the previous release serving")
def test_a_failing_test_deploys_nothing(served, pushes, machines):
    """A push whose tests fail builds no image, and the previous release keeps serving."""
    pushed = pushes.push(pushes.clone.fail_a_test)
    assert not pushed.succeeded
    assert not [tag for tag in machines.tags() if pushed.commit in tag]
    assert machines.release() == served


@pytest.mark.guarantee("A push with a failing test, image, signature or host key leaves the previous release serving")
def test_an_image_that_fails_its_tests_is_neither_signed_nor_deployed(served, pushes, machines):
    """An image whose tests fail is neither signed nor deployed."""
    pushed = pushes.push(pushes.clone.fail_an_image_test)
    assert not pushed.succeeded
    assert "1 failed" in pushed.step("Test the digest")
    assert "Sign the digest" not in pushed.output
    assert machines.release() == served


@pytest.mark.guarantee("A push with a failing test, image, signature or host key leaves the previous release serving")
def test_a_broken_release_fails_the_workflow_and_never_serves(served, pushes, machines):
    """A release whose API returns 500 fails the workflow before it receives traffic; the previous one keeps serving."""
    pushed = pushes.push(pushes.clone.break_the_api)
    assert not pushed.succeeded
    assert "500" in pushed.step("Deploy the digest")
    assert machines.release() == served
    assert machines.get("/api/products")[0] == 200


@pytest.mark.guarantee("A release that does not answer at the site's public address is rolled back")
def test_a_release_that_fails_verification_is_rolled_back(served, pushes, machines):
    """A release that does not answer at the public address is rolled back, and the workflow fails."""
    pushed = pushes.push(SITE_URL=f"{pushes.variables['SITE_URL']}/elsewhere")
    assert not pushed.succeeded
    assert machines.history()[-2:] == [("deploy", pushed.commit), ("rollback", served)]
    assert machines.release() == served


@pytest.mark.guarantee("A push with a failing test, image, signature or host key leaves the previous release serving")
def test_an_unsigned_image_is_refused(served, pushes, machines):
    """Without the signing key the image is unsigned, and the server refuses it."""
    pushed = pushes.push(without=("COSIGN_PRIVATE_KEY",))
    assert not pushed.succeeded
    assert "no signatures found" in pushed.step("Deploy the digest")
    assert machines.release() == served


@pytest.mark.guarantee("A push with a failing test, image, signature or host key leaves the previous release serving")
def test_an_unknown_host_key_stops_the_deploy(served, pushes, machines):
    """The workflow does not connect to a server without the pinned host key."""
    pushed = pushes.push(DEPLOY_KNOWN_HOSTS=machines.known_hosts("/etc/ssh/another_key.pub"))
    assert not pushed.succeeded
    assert "Host key verification failed" in pushed.step("Deploy the digest")
    assert machines.release() == served


def test_a_missing_setting_is_named(served, pushes, machines):
    """A missing setting fails the deploy with its name and the remedy, before the server is contacted."""
    pushed = pushes.push(without=("DEPLOY_SSH_KEY",))
    assert not pushed.succeeded
    assert "DEPLOY_SSH_KEY is missing. Set this secret" in pushed.output
    assert machines.release() == served


def test_without_a_server_a_push_succeeds_and_builds_nothing(pushes, machines):
    """Without DEPLOY_HOST a push is tested but not built, and a notice says why nothing is deployed."""
    pushed = pushes.push(DEPLOY_HOST="")
    assert pushed.succeeded, pushed.output
    assert "Set the repository variable DEPLOY_HOST" in pushed.output
    assert not [tag for tag in machines.tags() if pushed.commit in tag]
