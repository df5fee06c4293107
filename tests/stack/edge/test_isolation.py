"""Isolation: only nginx is reachable, and the services behind it have no internet access and no privileges."""

import pytest

from tests.support.stack.confinement import has_default_route, privileges_beyond, processes

pytestmark = pytest.mark.smoke


@pytest.mark.guarantee(
    "No service runs as root or has a capability, only nginx has internet access, only nginx publishes a port"
)
def test_only_nginx_publishes_a_port_on_loopback(running):
    """Nginx publishes one port on 127.0.0.1; no other service publishes any."""
    published = {
        (service, binding["HostIp"], binding["HostPort"])
        for service in ("nginx", "web", "db", "redis")
        for bindings in running.inspect(service)["NetworkSettings"]["Ports"].values()
        for binding in bindings or []
    }
    assert published == {("nginx", "127.0.0.1", str(running.port))}


@pytest.mark.guarantee(
    "No service runs as root or has a capability, only nginx has internet access, only nginx publishes a port"
)
@pytest.mark.parametrize("service", ["web", "db", "redis"])
def test_services_have_no_internet_access(running, service):
    """A service behind nginx has no default route."""
    assert not has_default_route(running, service)


def test_nginx_has_a_default_route(running):
    """Nginx has one, so the test above would notice it."""
    assert has_default_route(running, "nginx")


@pytest.mark.guarantee(
    "No service runs as root or has a capability, only nginx has internet access, only nginx publishes a port"
)
@pytest.mark.parametrize(("service", "user"), [("nginx", "101"), ("web", "10001"), ("db", "999"), ("redis", "999")])
def test_no_process_has_privileges(running, service, user):
    """No process runs as root, has a capability or can gain one."""
    for process in processes(running, service):
        assert privileges_beyond(process, user) == {}, process["Name:"]


@pytest.mark.parametrize("service", ["nginx", "db", "redis"])
def test_the_root_file_system_is_read_only(running, service):
    """A process cannot write to its container's root file system."""
    done = running.compose("exec", "-T", service, "touch", "/planted", check=False)
    assert "Read-only file system" in done.stderr
