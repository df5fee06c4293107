"""Whoever is told: a container that writes down what is posted to it, and answers as Slack does."""

import secrets

from tests.stack.compose import docker

PROGRAM = """
import http.server
class Handler(http.server.BaseHTTPRequestHandler):
    def do_POST(self):
        print(self.path, self.rfile.read(int(self.headers["Content-Length"])).decode(), flush=True)
        self.send_response(200)
        self.end_headers()
        self.wfile.write(b"ok")
http.server.ThreadingHTTPServer(("", 8000), Handler).serve_forever()
"""


class Listener:
    """A listener in a server's network, in the project's image."""

    def __init__(self, server, image):
        self.name = f"listener-{secrets.token_hex(4)}"
        docker(
            "run", "--detach", f"--name={self.name}", f"--network={server.name}_outside", image, "python", "-c", PROGRAM
        )

    def url(self, path):
        """Return the address to post to."""
        return f"http://{self.name}:8000{path}"

    def heard(self, path):
        """Return all that was posted to a path, oldest first."""
        lines = [line.partition(" ") for line in docker("logs", self.name).stdout.splitlines()]
        return [body for posted, _, body in lines if posted == path]

    def destroy(self):
        """Leave nothing behind."""
        docker("rm", "--force", self.name, check=False)
