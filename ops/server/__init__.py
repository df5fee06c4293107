"""One server: its folder, its files and its settings."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

from ops.docker.compose import BACKUP, BACKUP_WEBHOOK, MONITORING, OFFSITE_COPY, Compose, service
from ops.docker.runner import Runner
from ops.errors import PreconditionError
from ops.release import state
from ops.release.state import Traffic

FILE = "docker-compose.prod.yml"


@dataclass
class Server:
    """The folder, the runner, and the Compose file of the release that runs this code."""

    folder: Path
    runner: Runner
    file: Path
    lock_descriptor: int | None = None  # of the process that this one replaced

    @cached_property
    def compose(self) -> Compose:
        """The Compose commands for this folder."""
        return Compose(self.folder, self.file)

    @cached_property
    def config(self) -> dict[str, Any]:
        """The Compose file with the settings of .env."""
        if not (self.folder / ".env").exists():
            raise PreconditionError(f"{self.folder} is not set up. Run there: python3 -m ops init --host NAME")
        config: dict[str, Any] = self.runner.query_json(self.compose.config())
        return config

    @property
    def name(self) -> str:
        """The project's name."""
        return str(self.config["name"])

    @property
    def host(self) -> str:
        """The first public host name."""
        return self.hosts[0].lstrip(".")

    @property
    def hosts(self) -> list[str]:
        """All public host names."""
        hosts = str(self._web["environment"]["TRUSTED_HOSTS"])
        return [host.strip() for host in hosts.split(",") if host.strip()]

    @property
    def replicas(self) -> int:
        """The number of containers of a colour."""
        return int(self._web["deploy"]["replicas"])

    @property
    def smoke_paths(self) -> list[str]:
        """The paths that must return 200 before a release gets traffic."""
        return str(self.config["x-ops"]["smoke"]).split()

    @property
    def repository(self) -> str:
        """The only repository that the deploy key may deploy from; empty allows every signed image."""
        return str(self.config["x-ops"].get("repository", ""))

    @property
    def https(self) -> tuple[str, int]:
        """The published address and port for TLS."""
        return self._published(8443)

    @property
    def http(self) -> tuple[str, int]:
        """The published address and port for plain HTTP."""
        return self._published(8080)

    def _published(self, inside: int) -> tuple[str, int]:
        port = next(port for port in self.config["services"]["nginx"]["ports"] if port["target"] == inside)
        address = port.get("host_ip") or "0.0.0.0"  # noqa: S104 - Docker's default
        return "127.0.0.1" if address in {"0.0.0.0", "::"} else address, int(port["published"])  # noqa: S104

    @property
    def nginx_image(self) -> str:
        """The image of nginx, whose tools ops uses too."""
        return str(self.config["services"]["nginx"]["image"])

    @property
    def _web(self) -> Any:
        return self.config["services"][service("blue")]

    @property
    def certificates(self) -> Path:
        """The folder of the certificates and of certbot's account."""
        return self.folder / "certificates"

    @property
    def static(self) -> Path:
        """The static files of all releases on this server, served by nginx."""
        return self.folder / "static"

    @property
    def backups(self) -> Path:
        """The backup folder, readable by Postgres' user only."""
        volumes = self.config["services"]["backup"]["volumes"]
        return Path(next(volume["source"] for volume in volumes if volume["target"] == "/backups"))

    @property
    def backup_services(self) -> tuple[str, ...]:
        """The enabled backup services."""
        return (*BACKUP, *(name for name in (OFFSITE_COPY, BACKUP_WEBHOOK) if name in self.config["services"]))

    @property
    def monitoring_services(self) -> tuple[str, ...]:
        """The monitoring services, if they are enabled."""
        return tuple(name for name in MONITORING if name in self.config["services"])

    @property
    def backup_states(self) -> Path:
        """The status files of the backup jobs."""
        return self.state / "backups"

    @property
    def state(self) -> Path:
        """The state files of ops."""
        return self.folder / "state"

    @property
    def traffic_file(self) -> Path:
        """The traffic split that nginx includes."""
        return self.state / "traffic" / "active-colour.conf"

    @property
    def traffic(self) -> Traffic:
        """The current traffic split."""
        return state.read_traffic(self.traffic_file)

    @property
    def history_file(self) -> Path:
        """The history of commands."""
        return self.state / "history.jsonl"

    @property
    def journal_file(self) -> Path:
        """The operation under way."""
        return self.state / "operation.json"

    @property
    def lock_file(self) -> Path:
        """The lock of this server's commands."""
        return self.state / "lock"

    @property
    def releases(self) -> Path:
        """The bundles of the releases on this server."""
        return self.state / "releases"

    @property
    def restore_file(self) -> Path:
        """The database's change of volume under way."""
        return self.state / "restore.json"

    def fresh(self) -> Server:
        """Return the same server with its settings read again."""
        return Server(self.folder, self.runner, self.file)

    def with_file(self, file: Path) -> Server:
        """Return the same server with another release's Compose file."""
        return Server(self.folder, self.runner, file)

    def colour_image(self, colour: str) -> str:
        """Return the name of a colour's image in the Compose file."""
        return f"{self.name}:{colour}"
