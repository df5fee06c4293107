"""nginx follows a recreated web, also when another container gets its old address."""

import pytest

from tests.support.helpers import wait_for
from tests.support.stack.compose import docker

FORMAT = "{{range .NetworkSettings.Networks}}{{.IPAddress}}{{end}}"
OTHER = """
import http.server

class Other(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        self.send_response(200)
        self.end_headers()
        self.wfile.write(b'other')

server = http.server.HTTPServer(('', 8000), Other)
print('listening', flush=True)
server.serve_forever()
"""


def address(container):
    """Return the container's only address."""
    return docker("inspect", f"--format={FORMAT}", container).stdout.strip()


@pytest.fixture
def reused_address(stack, image, container):
    """Remove web and start another container with its address and port."""
    old = address(stack.container("web"))
    stack.compose("rm", "--stop", "--force", "web")
    command = (f"--network={stack.name}_backend", image, "python", "-c", OTHER)
    others = {address(other): other for other in (container(*command) for _ in range(3))}
    assert old in others, "Docker reused the address for no container"
    wait_for(lambda: "listening" in docker("logs", others[old]).stdout)
    yield old
    stack.up("web")


@pytest.mark.guarantee("nginx follows a container that comes back with another address")
def test_nginx_abandons_a_reused_address(stack, reused_address):
    """Nginx notices within seconds that web is gone and never sends requests to the address's new owner."""
    wait_for(lambda: stack.request("/health").status == 503, seconds=5)
    stack.compose("up", "--detach", "--no-deps", "web")
    responses = []
    wait_for(lambda: responses.append(stack.request("/health")) or responses[-1].status == 200, seconds=20)
    assert address(stack.container("web")) != reused_address
    assert b"other" not in {response.body for response in responses}


@pytest.mark.guarantee("nginx follows a container that comes back with another address")
def test_nginx_follows_a_recreated_web(stack):
    """A recreated web receives traffic within ten seconds of being healthy."""
    before = stack.container("web")
    stack.compose("up", "--detach", "--wait", "--no-deps", "--force-recreate", "web")
    assert stack.container("web") != before
    wait_for(lambda: stack.request("/health").status == 200, seconds=10)
