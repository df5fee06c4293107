"""A webhook receiver: a container that records the bodies posted to it, and responds as Slack does."""

import secrets

from tests.support.stack.compose import docker

PROGRAM = """
import gzip, http.server
class Handler(http.server.BaseHTTPRequestHandler):
    def do_POST(self):
        body = self.rfile.read(int(self.headers["Content-Length"]))
        packed = self.headers["Content-Encoding"] == "gzip"
        print(self.path, (gzip.decompress(body) if packed else body).hex(), flush=True)
        self.send_response(200)
        self.end_headers()
        self.wfile.write(b"ok")
http.server.ThreadingHTTPServer(("", 8000), Handler).serve_forever()
"""


class Listener:
    """A receiver in a server's network, in the project's image."""

    def __init__(self, server, image):
        self.name = f"listener-{secrets.token_hex(4)}"
        options = (f"--name={self.name}", f"--network={server.name}_frontend", "--no-healthcheck")
        docker("run", "--detach", *options, image, "python", "-c", PROGRAM)

    def url(self, path, user=""):
        """Return the URL to post to."""
        return f"http://{user and f'{user}@'}{self.name}:8000{path}"

    def received(self, path):
        """Return the bodies posted to a path, oldest first."""
        lines = [line.partition(" ") for line in docker("logs", self.name).stdout.splitlines()]
        return [bytes.fromhex(body) for posted, _, body in lines if posted == path]

    def received_texts(self, path):
        """Return the decoded bodies posted to a path, oldest first."""
        return [body.decode() for body in self.received(path)]

    def destroy(self):
        """Remove the container."""
        docker("rm", "--force", self.name, check=False)
