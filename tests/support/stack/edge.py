"""Production's nginx alone, in front of a stub whose responses the test chooses."""

import secrets
from urllib.parse import urlencode

from tests.support.helpers import wait_for
from tests.support.stack.client import send_request
from tests.support.stack.compose import docker
from tests.support.stack.server import HOST, Server

CDN = "172.16.0.0/12,192.168.0.0/16,10.0.0.0/8"  # any address that Docker gives to the tests


class Edge(Server):
    """A server that runs only nginx."""

    def __init__(self, parent, image, **settings):
        super().__init__(parent, **settings)
        self.image = image
        self.stub = f"stub-{secrets.token_hex(4)}"

    def start(self, source):
        """Initialise the server; start nginx and a stub with this source."""
        self.unpack(self.image)
        self.init()
        self.compose("up", "--detach", "--no-deps", "--wait", "--wait-timeout", "60", "nginx")
        network = (f"--network={self.name}_frontend", "--network-alias=web-blue")
        limits = ("--read-only", "--cap-drop=ALL", "--memory=256m")
        docker("run", "--detach", f"--name={self.stub}", *network, *limits, self.image, "python", "-c", source, "8000")
        wait_for(lambda: self.get("/").status == 200)

    def get(self, path, **options):
        """Send a request over TLS; further options go into the query, for the stub."""
        known = {name: options.pop(name) for name in ("method", "headers", "token", "timeout") if name in options}
        query = "?" + urlencode(options, doseq=True) if options else ""
        return self.request(path + query, **known)

    def plain(self, path, **options):
        """Send a request over plain HTTP."""
        return send_request(self.http, path, headers={"Host": HOST}, **options)

    def destroy(self):
        """Remove the containers and the folder."""
        docker("rm", "--force", self.stub, check=False)
        super().destroy()
