"""Docker Compose commands as argument lists."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

Argv = list[str]

RENEW_COMMAND = ["python3", "-B", "-m", "deploy.certbot.renew"]  # in the certbot container
BACKUP_COMMAND = ["bash", "/opt/backup/schedule.sh"]  # in the backup container
CHECK_SCRIPT = "scripts/check_production.py"  # in the application's image
STATEFUL = ("db", "redis-cache", "redis-sessions", "nginx")
OPTIONAL = ("pgbouncer",)  # stateful too, enabled by a profile
BACKUP = ("wal-receiver", "backup", "restore-drill")
MONITORING = (
    "prometheus",
    "alertmanager",
    "grafana",
    "nginx-exporter",
    "postgres-exporter",
    "redis-exporter",
)  # enabled by a profile
OFFSITE_COPY, BACKUP_WEBHOOK = "offsite-copy", "backup-webhook"  # enabled by a profile
RESTORED_LABEL = "ops=restored"  # volumes that a restore has made
ONE_OFF_LABEL = "ops=one-off"  # containers that ops runs for one command; an operator's own have no such label
ONE_OFF = ("run", "--rm", "--no-deps", "-T", "--label", ONE_OFF_LABEL)


@dataclass(frozen=True)
class Compose:
    """`docker compose` for one server's folder, with the Compose file of one release."""

    folder: Path
    file: Path
    environment: tuple[str, ...] = ()

    def argv(self, *argv: str, **environment: str) -> Argv:
        """Return a Compose command with additional environment variables."""
        known = [*self.environment, *(f"{name}={value}" for name, value in environment.items())]
        compose = ["docker", "compose", "--project-directory", str(self.folder), "--file", str(self.file), *argv]
        return ["env", *known, *compose] if known else compose

    def with_environment(self, settings: dict[str, str]) -> Compose:
        """Return the same with settings that override those of .env."""
        known = tuple(f"{name}={value}" for name, value in settings.items())
        return Compose(self.folder, self.file, (*self.environment, *known))

    def trial(self, name: str, settings: dict[str, str]) -> Compose:
        """Return the same for a temporary project with another database, which no WAL receiver archives."""
        alone = {"SYNCHRONOUS_ARCHIVE": "off", "DATABASE_HOST": "db"}  # it has no PgBouncer
        return self.with_environment({"COMPOSE_PROJECT_NAME": f"{name}-trial", **alone, **settings})

    def config(self) -> Argv:
        """Print the Compose file with the settings of .env, as JSON."""
        return self.argv("config", "--format", "json")

    def hashes(self) -> Argv:
        """Print a line for each service: its name and a hash of its definition."""
        return self.argv("config", "--hash", "*")

    def start_stateful(self, *services: str) -> Argv:
        """Start all or these stateful services and wait; running containers stay as they are."""
        options = ("--detach", "--no-deps", "--no-recreate", "--wait", "--wait-timeout", "120")
        return self.argv("up", *options, *(services or STATEFUL))

    def start_and_wait(self, *services: str) -> Argv:
        """Start services and wait; recreate containers with an older definition."""
        return self.argv("up", "--detach", "--no-deps", "--wait", "--wait-timeout", "600", *services)

    def start_sidecars(self, *services: str) -> Argv:
        """Start services without waiting; recreate containers with an older definition."""
        return self.argv("up", "--detach", "--no-deps", *services)

    def fetch_backups(self) -> Argv:
        """Restore the newest off-site copy of the backups."""
        return self.argv(*ONE_OFF, "offsite-fetch")

    def stop(self, *services: str) -> Argv:
        """Stop services; their containers stay."""
        return self.argv("stop", *services)

    def down(self) -> Argv:
        """Remove a project's containers and networks, but not its volumes."""
        return self.argv("down", "--remove-orphans", "--timeout", "30")

    def restart(self, *services: str) -> Argv:
        """Stop services and start them again."""
        return self.argv("restart", *services)

    def list_backups(self) -> Argv:
        """List the backups, in a separate container."""
        return self.argv("run", "--rm", "--no-deps", "-T", "backup", "bash", "/opt/backup/list.sh")

    def drill(self) -> Argv:
        """Run a restore drill, in a separate container."""
        return self.argv("run", "--rm", "--no-deps", "-T", "restore-drill", "bash", "/opt/backup/drill.sh", "now")

    def restore_step(self, *argv: str) -> Argv:
        """Run one step of a restore."""
        return self.argv(*ONE_OFF, "restore", "bash", "/opt/backup/restore.sh", *argv)

    def dump(self) -> Argv:
        """Dump the database, in a separate container."""
        return self.argv(*ONE_OFF, "backup", *BACKUP_COMMAND, "now", "dump")

    def read_only(self, state: str) -> Argv:
        """Make the application's role read-only ("on") or writable ("off")."""
        return self.exec_in("db", "bash", "/opt/postgres/read_only.sh", state)

    def exec_in(self, service: str, *argv: str) -> Argv:
        """Run a command in a service's container."""
        return self.argv("exec", "-T", service, *argv)

    def start_colour(self, colour: str) -> Argv:
        """Start the containers of a colour; recreate them if image or settings changed."""
        return self.argv("up", "--detach", "--no-deps", "--no-build", "--pull", "never", service(colour))

    def stop_colour(self, colour: str) -> Argv:
        """Stop a colour's containers; they stay, for a rollback."""
        return self.argv("stop", service(colour))

    def migrate(self, image: str, *argv: str) -> Argv:
        """Run a command in IMAGE as the schema's owner; without one, the migrations."""
        return self.argv(*ONE_OFF, "migrate", *argv, MIGRATE_IMAGE=image)

    def check_production(self, image: str, *options: str) -> Argv:
        """Print the findings of IMAGE's production check as JSON, or `null` without one; findings are not failures."""
        program = " ".join(["python", CHECK_SCRIPT, "--json", *options])
        script = f"test -e {CHECK_SCRIPT} || exec echo null; {program} || test $? = 1"
        return self.migrate(image, "sh", "-c", script)

    def ps(self) -> Argv:
        """Print a JSON object for each container, including stopped ones."""
        return self.argv("ps", "--all", "--format", "json")

    def logs(self, *argv: str) -> Argv:
        """Print the logs of services."""
        return self.argv("logs", *argv)

    def nginx_log(self, since: str) -> Argv:
        """Print nginx's log since a time (RFC 3339)."""
        return self.argv("logs", "--no-color", "--no-log-prefix", "--since", since, "nginx")


def service(colour: str) -> str:
    """Return the service of a colour."""
    return f"web-{colour}"
