"""nginx and a web that comes back elsewhere, while another container has taken its address."""

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
def taken(stack, image, container):
    """Take web away, and let another container that listens on its port have its address."""
    old = address(stack.container("web"))
    stack.compose("rm", "--stop", "--force", "web")
    words = (f"--network={stack.name}_backend", image, "python", "-c", OTHER)
    others = {address(other): other for other in (container(*words) for _ in range(3))}
    assert old in others, "Docker gave the address to nobody"
    wait_for(lambda: "listening" in docker("logs", others[old]).stdout)
    yield old
    stack.up("web")


def test_nginx_leaves_an_address_that_is_another_containers(stack, taken):
    """Within the seconds for which it keeps an address nginx notices that web is gone, and never goes there again."""
    wait_for(lambda: stack.ask("/health").status == 503, seconds=5)
    stack.compose("up", "--detach", "--no-deps", "web")
    answers = []
    wait_for(lambda: answers.append(stack.ask("/health")) or answers[-1].status == 200, seconds=20)
    assert address(stack.container("web")) != taken
    assert b"other" not in {answer.body for answer in answers}


def test_nginx_follows_a_recreated_web(stack):
    """A web that was made anew is served again within ten seconds of being healthy."""
    before = stack.container("web")
    stack.compose("up", "--detach", "--wait", "--no-deps", "--force-recreate", "web")
    assert stack.container("web") != before
    wait_for(lambda: stack.ask("/health").status == 200, seconds=10)
