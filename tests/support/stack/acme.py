"""An ACME server of our own (pebble) beside a server's nginx: its certificates live as long as a test wants."""

import json
import secrets

from tests.support.stack.compose import docker

IMAGE = "ghcr.io/letsencrypt/pebble:2.10.0"
OWN = ("digitalSignature,keyCertSign", "critical,CA:TRUE", "DNS:pebble")  # of its own HTTPS, which vouches for itself


class Authority:
    """A container in the network of a server's nginx, which it finds under the names that it certifies."""

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
        """Start it, where certbot looks for it."""
        self._make_own_certificate()
        address = self.address_of_nginx()
        docker(
            *["run", "--detach", f"--name={self.name}", f"--network={self.server.name}_outside"],
            *["--network-alias=pebble", "--env=PEBBLE_VA_NOSLEEP=1", "--env=PEBBLE_WFE_NONCEREJECT=0"],
            *[f"--add-host={host}:{address}" for host in self.hosts],
            *[f"--volume={self.folder}:/settings:ro", IMAGE, "-config", "/settings/pebble.json"],
        )
        script = 'printf "%s" "$0" >/certificates/acme-ca.pem'
        self.server.compose("exec", "-T", "certbot", "sh", "-c", script, (self.folder / "cert.pem").read_text())

    def _make_own_certificate(self):
        usage, basic, names = OWN
        extensions = [f"keyUsage={usage}", f"basicConstraints={basic}", f"subjectAltName={names}"]
        docker(
            *["run", "--rm", "--network=none", f"--volume={self.folder}:/made", "--workdir=/made"],
            *["--entrypoint=openssl", "nginx:1.30", "req", "-x509", "-nodes", "-newkey", "rsa:2048", "-days", "2"],
            *["-subj", "/CN=pebble", *[word for each in extensions for word in ("-addext", each)]],
            *["-keyout", "key.pem", "-out", "cert.pem"],
        )

    def address_of_nginx(self):
        """Return the address under which the names are to be found."""
        container = json.loads(docker("inspect", f"{self.server.name}-nginx-1").stdout)[0]
        return container["NetworkSettings"]["Networks"][f"{self.server.name}_outside"]["IPAddress"]

    def leave(self):
        """Let nobody reach it; it keeps all that it knows, as an authority does."""
        docker("network", "disconnect", f"{self.server.name}_outside", self.name)

    def come_back(self):
        """Let it be reached again."""
        docker("network", "connect", "--alias=pebble", f"{self.server.name}_outside", self.name)

    def destroy(self):
        """Leave nothing behind."""
        docker("rm", "--force", "--volumes", self.name, check=False)
