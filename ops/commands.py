"""Commands as lists of words. Nothing is run here, so each can be read, printed and tested as text."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

Words = list[str]

CARE = ["python3", "-B", "/opt/certbot/care.py"]  # deploy/certbot/care.py, as the compose file mounts it
BACKUP = ["bash", "/opt/backup/care.sh"]  # backup/, likewise
EDGE = "/etc/nginx/edge"  # where nginx finds its configuration
PRODUCTION = "scripts/check_production.py"  # in the application's image
LASTING = ("db", "redis-cache", "redis-sessions", "nginx")
OPTIONAL = ("pgbouncer",)  # likewise, where its profile is on
KEEPERS = ("wal", "backup", "drill")  # what makes and tries backups
WATCHERS = (
    "prometheus",
    "alertmanager",
    "grafana",
    "nginx-exporter",
    "postgres-exporter",
    "redis-exporter",
)  # if wanted
OFFSITE, WEBHOOK = "offsite", "webhook"  # what copies them elsewhere and tells of them, where that is switched on
RESTORED = "ops=restored"  # volumes that a restore has made
OURS = "ops=one-off"  # containers that end with the command that made them; an operator's own are left alone
ONE_OFF = ("run", "--rm", "--no-deps", "-T", "--label", OURS)


@dataclass(frozen=True)
class Compose:
    """`docker compose` for one server's folder, with the compose file of one release."""

    folder: Path
    file: Path
    environment: tuple[str, ...] = ()

    def words(self, *words: str, **environment: str) -> Words:
        """Return a Compose command, in an environment with these further variables."""
        known = [*self.environment, *(f"{name}={value}" for name, value in environment.items())]
        compose = ["docker", "compose", "--project-directory", str(self.folder), "--file", str(self.file), *words]
        return ["env", *known, *compose] if known else compose

    def having(self, settings: dict[str, str]) -> Compose:
        """Return the same with settings that are not those of .env."""
        known = tuple(f"{name}={value}" for name, value in settings.items())
        return Compose(self.folder, self.file, (*self.environment, *known))

    def trial(self, name: str, settings: dict[str, str]) -> Compose:
        """Return the same for a project beside this one, whose database is another one, and archived by nobody."""
        alone = {"SYNCHRONOUS_ARCHIVE": "off", "DATABASE_HOST": "db"}  # there is no PgBouncer beside it
        return self.having({"COMPOSE_PROJECT_NAME": f"{name}-trial", **alone, **settings})

    def config(self) -> Words:
        """Everything the file says, with the settings put in, as JSON."""
        return self.words("config", "--format", "json")

    def hashes(self) -> Words:
        """One line a service: its name and a hash of its definition."""
        return self.words("config", "--hash", "*")

    def start_lasting(self, *services: str) -> Words:
        """Start what outlasts a release, all of it or these services, and wait; what runs is left as it is."""
        options = ("--detach", "--no-deps", "--no-recreate", "--wait", "--wait-timeout", "120")
        return self.words("up", *options, *(services or LASTING))

    def start_anew(self, *services: str) -> Words:
        """Start services and wait; one that runs by an older definition is made anew."""
        return self.words("up", "--detach", "--no-deps", "--wait", "--wait-timeout", "600", *services)

    def start_carers(self, *services: str) -> Words:
        """Start what cares for certificates and backups, made anew where its settings changed: users do not notice."""
        return self.words("up", "--detach", "--no-deps", *services)

    def fetch_backups(self) -> Words:
        """Bring the newest copy of the backups back from elsewhere."""
        return self.words(*ONE_OFF, "fetch")

    def stop(self, *services: str) -> Words:
        """Stop services; their containers stay."""
        return self.words("stop", *services)

    def down(self) -> Words:
        """Take a project's containers and networks away, and leave its volumes."""
        return self.words("down", "--remove-orphans", "--timeout", "30")

    def restart(self, *services: str) -> Words:
        """Stop services and start them again."""
        return self.words("restart", *services)

    def list_backups(self) -> Words:
        """Print what there is to restore from, whether or not anything runs."""
        return self.words("run", "--rm", "--no-deps", "-T", "backup", "bash", "/opt/backup/list.sh")

    def drill(self) -> Words:
        """Try a restore, in a container that is thrown away."""
        return self.words("run", "--rm", "--no-deps", "-T", "drill", "bash", "/opt/backup/drill.sh", "now")

    def restore_step(self, *words: str) -> Words:
        """Do a step of a restore."""
        return self.words(*ONE_OFF, "restore", "bash", "/opt/backup/restore.sh", *words)

    def dump(self) -> Words:
        """Dump the database now, in a container of its own."""
        return self.words(*ONE_OFF, "backup", *BACKUP, "now", "dump")

    def read_only(self, state: str) -> Words:
        """Let the application write nothing ("on"), or write again ("off")."""
        return self.beside("db", "bash", "/opt/postgres/read_only.sh", state)

    def beside(self, service: str, *words: str) -> Words:
        """Run a command in a service's container."""
        return self.words("exec", "-T", service, *words)

    def start_colour(self, colour: str) -> Words:
        """Start the containers of a colour, made anew where image or settings changed."""
        return self.words("up", "--detach", "--no-deps", "--no-build", "--pull", "never", service(colour))

    def stop_colour(self, colour: str) -> Words:
        """Stop a colour's containers; they stay, for a rollback."""
        return self.words("stop", service(colour))

    def migrate(self, image: str, *words: str) -> Words:
        """Run a command in IMAGE as the schema's owner; without one, the migrations."""
        return self.words(*ONE_OFF, "migrate", *words, MIGRATE_IMAGE=image)

    def check_production(self, image: str, *options: str) -> Words:
        """Let IMAGE look at the server; prints its findings as JSON, `null` if it cannot, and fails for neither."""
        program = " ".join(["python", PRODUCTION, "--json", *options])
        script = f"test -e {PRODUCTION} || exec echo null; {program} || test $? = 1"
        return self.migrate(image, "sh", "-c", script)

    def ps(self) -> Words:
        """One JSON object a line for each container, those that do not run included."""
        return self.words("ps", "--all", "--format", "json")

    def logs(self, *words: str) -> Words:
        """Print what services log."""
        return self.words("logs", *words)

    def edge_log(self, since: str) -> Words:
        """Print what nginx logged since a moment (RFC 3339)."""
        return self.words("logs", "--no-color", "--no-log-prefix", "--since", since, "nginx")


def service(colour: str) -> str:
    """Return the service of a colour."""
    return f"web-{colour}"


def containers(project: str, colour: str) -> Words:
    """Print the ids of a colour's containers, those that do not run included."""
    labels = {"project": project, "service": service(colour), "oneoff": "False"}
    return ["docker", "ps", "--all", "--quiet", *having(labels)]


def in_edge(project: str, *words: str) -> Words:
    """Run a command beside nginx."""
    return ["docker", "exec", f"{project}-nginx-1", *words]


def check_edge(folder: str) -> Words:
    """Let nginx read the configuration in a folder, with this server's settings; it takes effect with a reload."""
    return ["sh", f"{folder}/take-up.sh", folder]


def reload_edge() -> Words:
    """Let nginx take the configuration over: new workers begin, the old ones end what they have."""
    return ["nginx", "-c", f"{EDGE}/production.conf", "-s", "reload"]


def workers() -> Words:
    """Print a line for each of nginx' workers, and behind `--` those of them that take no new request any more."""
    find = "grep --files-with-matches --no-messages"
    all_of_them, leaving = (f"{find} '{text}' /proc/[0-9]*/cmdline" for text in ("worker [p]rocess", "[s]hutting down"))
    return ["sh", "-c", f"{all_of_them}; echo --; {leaving}; true"]


def ask(url: str, host: str) -> Words:
    """Request an address, by a host's name, and print the body and, on a line of its own, the status."""
    return [
        *["curl", "--silent", "--show-error", "--stderr", "-", "--max-time", "5", "--header", f"Host: {host}"],
        *["--write-out", "\n%{http_code}", url],
    ]


def pull(image: str) -> Words:
    """Fetch an image by its digest."""
    return ["docker", "pull", "--quiet", image]


def inspect_image(image: str) -> Words:
    """Print what is known of an image, as JSON; fails if it is not here."""
    return ["docker", "image", "inspect", image]


def inspect_containers(ids: Words) -> Words:
    """Print what is known of containers, as JSON."""
    return ["docker", "inspect", "--type", "container", *ids]


def verify_signature(image: str, key: Path) -> Words:
    """Check that the digest was signed with the private half of KEY; no transparency log is asked."""
    return ["cosign", "verify", "--key", str(key), "--insecure-ignore-tlog=true", image]


def tag(image: str, name: str) -> Words:
    """Give an image the name by which the compose file knows it."""
    return ["docker", "image", "tag", image, name]


def create(image: str, project: str) -> Words:
    """Make a container of an image, without starting it, to copy files out of; print its id."""
    labels = [f"com.docker.compose.project={project}", "com.docker.compose.oneoff=True", OURS]
    return ["docker", "create", "--network", "none", *[word for label in labels for word in ("--label", label)], image]


def copy_bundle(container: str, folder: Path) -> Words:
    """Copy the files that a server needs out of an image."""
    return ["docker", "cp", "--quiet", f"{container}:/srv/bundle/.", str(folder)]


def remove_containers(ids: Words) -> Words:
    """Take containers away, running or not."""
    return ["docker", "rm", "--force", "--volumes", *ids]


def one_offs(project: str) -> Words:
    """Print the ids of containers that ops made for one command, such as migrations."""
    return ["docker", "ps", "--all", "--quiet", *having({"project": project}), "--filter", f"label={OURS}"]


def make_volume(project: str, name: str) -> Words:
    """Make a volume that Compose takes for the database's."""
    labels = (f"com.docker.compose.project={project}", "com.docker.compose.volume=db", RESTORED)
    return ["docker", "volume", "create", *[word for label in labels for word in ("--label", label)], name]


def volumes(project: str, *filters: str) -> Words:
    """Print the names of the volumes that are or were the database's."""
    labels = (f"com.docker.compose.project={project}", "com.docker.compose.volume=db", *filters)
    return ["docker", "volume", "ls", "--quiet", *[word for label in labels for word in ("--filter", f"label={label}")]]


def remove_volume(name: str) -> Words:
    """Take a volume away, unless a container still has it."""
    return ["docker", "volume", "rm", name]


def having(labels: dict[str, str]) -> Words:
    """Return the options of `docker ps` for containers with these labels of Compose's."""
    return [word for name, value in labels.items() for word in ("--filter", f"label=com.docker.compose.{name}={value}")]


def remove_image(image: str) -> Words:
    """Take an image away, unless something still uses it."""
    return ["docker", "image", "rm", image]


def logs_of(container: str) -> Words:
    """Print the last lines that a container logged."""
    return ["docker", "logs", "--tail", "15", container]


def engine() -> Words:
    """Print the engine's version; fails if none answers."""
    return ["docker", "version", "--format", "{{.Server.Version}}"]


def root() -> Words:
    """Print the folder in which the engine keeps images, containers and volumes."""
    return ["docker", "info", "--format", "{{.DockerRootDir}}"]


def compose_version() -> Words:
    """Print the version of Compose."""
    return ["docker", "compose", "version", "--short"]


def give(folder: Path, uid: int, names: Words, image: str) -> Words:
    """Make files belong to the user of a container. In a container, because here only root may give files away."""
    powers = [word for power in ("CHOWN", "DAC_READ_SEARCH") for word in ("--cap-add", power)]
    return [
        *["docker", "run", "--rm", "--network", "none", "--user", "0:0", "--cap-drop", "ALL", *powers],
        *["--volume", f"{folder}:/given", "--entrypoint", "chown", image, "-R", f"{uid}:{uid}"],
        *[f"/given/{name}" for name in names],
    ]


def placeholder(folder: Path, host: str, image: str) -> Words:
    """Make a self-signed certificate (ECDSA, P-256) for a host's name, and its key."""
    request = ["req", "-x509", "-nodes", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-days", "365"]
    return [
        *["docker", "run", "--rm", "--network", "none", "--user", "0:0"],
        *["--volume", f"{folder}:/given", "--entrypoint", "openssl", image, *request],
        *["-subj", "/CN=placeholder", "-addext", f"subjectAltName=DNS:{host}"],
        *["-keyout", "/given/privkey.pem", "-out", "/given/fullchain.pem"],
    ]
