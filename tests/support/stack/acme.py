"""An ACME server (pebble) on the network of a server's nginx."""

import json
import secrets

from tests.support.stack.compose import docker

IMAGE = "ghcr.io/letsencrypt/pebble:2.10.0"
EXTENSIONS = ("keyUsage=digitalSignature,keyCertSign", "basicConstraints=critical,CA:TRUE", "subjectAltName=DNS:pebble")


class Authority:
    """A pebble container that resolves the certified names to the server's nginx."""

    def __init__(self, server, hosts, folder, lifetime):
        self.server, self.hosts = server, hosts
        self.name = f"acme-{secrets.token_hex(4)}"
        self.folder, self.config = folder, folder / "pebble.json"
        profile = {"description": "short", "validityPeriod": lifetime}
        settings = {
            "listenAddress": "0.0.0.0:14000",
            "managementListenAddress": "0.0.0.0:15000",
            "certificate": "/settings/cert.pem",
            "privateKey": "/settings/key.pem",
            "httpPort": 8080,
            "tlsPort": 8443,
            "retryAfter": {"authz": 1, "order": 1},
            "profiles": {"default": profile},
        }
        self.config.write_text(json.dumps({"pebble": settings}))
        self.config.chmod(0o644)

    def start(self):
        """Start pebble, under the name in ACME_SERVER."""
        self._create_https_certificate()
        address = self.nginx_address()
        docker(
            *["run", "--detach", f"--name={self.name}", f"--network={self.server.name}_frontend"],
            *["--network-alias=pebble", "--env=PEBBLE_VA_NOSLEEP=1", "--env=PEBBLE_WFE_NONCEREJECT=0"],
            *[f"--add-host={host}:{address}" for host in self.hosts],
            *[f"--volume={self.folder}:/settings:ro", IMAGE, "-config", "/settings/pebble.json"],
        )
        script = 'printf "%s" "$0" >/certificates/acme-ca.pem'
        self.server.compose("exec", "-T", "certbot", "sh", "-c", script, (self.folder / "cert.pem").read_text())

    def _create_https_certificate(self):
        docker(
            *["run", "--rm", "--network=none", f"--volume={self.folder}:/made", "--workdir=/made"],
            *["--entrypoint=openssl", "nginx:1.30", "req", "-x509", "-nodes", "-newkey", "rsa:2048", "-days", "2"],
            *["-subj", "/CN=pebble", *[word for each in EXTENSIONS for word in ("-addext", each)]],
            *["-keyout", "key.pem", "-out", "cert.pem"],
        )

    def nginx_address(self):
        """Return the address that the certified names resolve to."""
        container = json.loads(docker("inspect", f"{self.server.name}-nginx-1").stdout)[0]
        return container["NetworkSettings"]["Networks"][f"{self.server.name}_frontend"]["IPAddress"]

    def disconnect(self):
        """Make pebble unreachable; it keeps its state."""
        docker("network", "disconnect", f"{self.server.name}_frontend", self.name)

    def reconnect(self):
        """Make pebble reachable again."""
        docker("network", "connect", "--alias=pebble", f"{self.server.name}_frontend", self.name)

    def destroy(self):
        """Remove the container."""
        docker("rm", "--force", "--volumes", self.name, check=False)
