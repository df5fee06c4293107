"""One server's folder: where its files are, and what its settings say."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

from ops.docker.compose import BACKUP, BACKUP_WEBHOOK, MONITORING, OFFSITE_COPY, Compose, service
from ops.docker.runner import Runner
from ops.errors import PreconditionError
from ops.release import traffic
from ops.release.traffic import Traffic

FILE = "docker-compose.prod.yml"


@dataclass
class Server:
    """The folder, and the runner that carries commands out; `file` is the compose file of the release at hand."""

    folder: Path
    runner: Runner
    file: Path

    @cached_property
    def compose(self) -> Compose:
        """Commands of Compose for this folder."""
        return Compose(self.folder, self.file)

    @cached_property
    def config(self) -> dict[str, Any]:
        """What the compose file says, with the settings of .env put in."""
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
        """The first name that users ask for."""
        return self.hosts[0].lstrip(".")

    @property
    def hosts(self) -> list[str]:
        """All names that users ask for."""
        hosts = str(self._web["environment"]["TRUSTED_HOSTS"])
        return [host.strip() for host in hosts.split(",") if host.strip()]

    @property
    def replicas(self) -> int:
        """How many containers a colour has."""
        return int(self._web["deploy"]["replicas"])

    @property
    def smoke_paths(self) -> list[str]:
        """What a new release must answer with 200 before users meet it."""
        return str(self.config["x-ops"]["smoke"]).split()

    @property
    def repository(self) -> str:
        """The only repository that the deploy key may bring images of; empty if any will do that is signed."""
        return str(self.config["x-ops"].get("repository", ""))

    @property
    def https(self) -> tuple[str, int]:
        """The address and port of this machine where users' requests arrive."""
        return self._published(8443)

    @property
    def http(self) -> tuple[str, int]:
        """The address and port of this machine where those arrive that are sent in the clear."""
        return self._published(8080)

    def _published(self, inside: int) -> tuple[str, int]:
        port = next(port for port in self.config["services"]["nginx"]["ports"] if port["target"] == inside)
        address = port.get("host_ip") or "0.0.0.0"  # noqa: S104 - what Docker does without one
        return "127.0.0.1" if address in {"0.0.0.0", "::"} else address, int(port["published"])  # noqa: S104

    @property
    def nginx_image(self) -> str:
        """The image of the edge, which also lends ops its tools."""
        return str(self.config["services"]["nginx"]["image"])

    @property
    def _web(self) -> Any:
        return self.config["services"][service("blue")]

    @property
    def certificates(self) -> Path:
        """What nginx shows users, and what certbot keeps."""
        return self.folder / "certificates"

    @property
    def static(self) -> Path:
        """The static files of every release that is kept, which nginx serves."""
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
        """What looks at all the others and rings, where that is switched on."""
        return tuple(name for name in MONITORING if name in self.config["services"])

    @property
    def backup_states(self) -> Path:
        """The status files of the backup jobs."""
        return self.state / "backups"

    @property
    def state(self) -> Path:
        """What ops itself keeps."""
        return self.folder / "state"

    @property
    def traffic_file(self) -> Path:
        """What nginx reads to know the colour."""
        return self.state / "traffic" / "active-colour.conf"

    @property
    def traffic(self) -> Traffic:
        """Which colour serves."""
        return traffic.read(self.traffic_file)

    @property
    def history_file(self) -> Path:
        """What was done."""
        return self.state / "history.jsonl"

    @property
    def journal_file(self) -> Path:
        """What is under way."""
        return self.state / "operation.json"

    @property
    def lock_file(self) -> Path:
        """Who is at it."""
        return self.state / "lock"

    @property
    def releases(self) -> Path:
        """The bundle of each release that is kept."""
        return self.state / "releases"

    @property
    def restore_file(self) -> Path:
        """What is under way while the database changes from one volume to another."""
        return self.state / "restore.json"

    def fresh(self) -> Server:
        """Return the same server, whose settings are read again."""
        return Server(self.folder, self.runner, self.file)

    def with_file(self, file: Path) -> Server:
        """Return the same server with another release's compose file."""
        return Server(self.folder, self.runner, file)

    def colour_image(self, colour: str) -> str:
        """Return the name by which the compose file knows a colour's image."""
        return f"{self.name}:{colour}"
