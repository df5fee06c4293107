"""Who can reach what: nginx alone is open, and what stands behind it has no way out and no privileges."""

import pytest

from tests.support.stack.confinement import has_default_route, privileges_beyond, processes

pytestmark = pytest.mark.smoke


def test_only_nginx_publishes_a_port_and_only_on_this_machine(running):
    """One port is published, by nginx, on 127.0.0.1; no other service publishes any."""
    published = {
        (service, binding["HostIp"], binding["HostPort"])
        for service in ("nginx", "web", "db", "redis")
        for bindings in running.inspect(service)["NetworkSettings"]["Ports"].values()
        for binding in bindings or []
    }
    assert published == {("nginx", "127.0.0.1", str(running.port))}


@pytest.mark.parametrize("service", ["web", "db", "redis"])
def test_there_is_no_way_out(running, service):
    """A service behind nginx has no route to anywhere but its own network."""
    assert not has_default_route(running, service)


def test_nginx_has_a_way_out(running):
    """There is such a route in nginx, so the test above would see one."""
    assert has_default_route(running, "nginx")


@pytest.mark.parametrize(("service", "user"), [("nginx", "101"), ("web", "10001"), ("db", "999"), ("redis", "999")])
def test_every_process_is_without_privileges(running, service, user):
    """No process is root, has a capability, or can gain any."""
    for process in processes(running, service):
        assert privileges_beyond(process, user) == {}, process["Name:"]


@pytest.mark.parametrize("service", ["nginx", "db", "redis"])
def test_nothing_can_be_written_to_its_own_disk(running, service):
    """Who gets in can leave nothing behind: the root file system is read-only."""
    done = running.compose("exec", "-T", service, "touch", "/planted", check=False)
    assert "Read-only file system" in done.stderr
