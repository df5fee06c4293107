"""Docker and nginx commands as argument lists. Nothing runs here, so each can be read, printed and tested as text."""

from __future__ import annotations

from pathlib import Path

from ops.docker.compose import ONE_OFF_LABEL, RESTORED_LABEL, Argv, service

EDGE = "/etc/nginx/edge"  # where nginx finds its configuration


def containers(project: str, colour: str) -> Argv:
    """Print the ids of a colour's containers, those that do not run included."""
    labels = {"project": project, "service": service(colour), "oneoff": "False"}
    return ["docker", "ps", "--all", "--quiet", *having(labels)]


def in_nginx(project: str, *argv: str) -> Argv:
    """Run a command beside nginx."""
    return ["docker", "exec", f"{project}-nginx-1", *argv]


def test_nginx(folder: str) -> Argv:
    """Let nginx read the configuration in a folder, with this server's settings; it takes effect with a reload."""
    return ["sh", f"{folder}/apply-config.sh", folder]


def reload_nginx() -> Argv:
    """Let nginx take the configuration over: new workers begin, the old ones end what they have."""
    return ["nginx", "-c", f"{EDGE}/production.conf", "-s", "reload"]


def workers() -> Argv:
    """Print a line for each of nginx' workers, and behind `--` those of them that take no new request any more."""
    find = "grep --files-with-matches --no-messages"
    all_of_them, leaving = (f"{find} '{text}' /proc/[0-9]*/cmdline" for text in ("worker [p]rocess", "[s]hutting down"))
    return ["sh", "-c", f"{all_of_them}; echo --; {leaving}; true"]


def curl(url: str, host: str) -> Argv:
    """Request an address, by a host's name, and print the body and, on a line of its own, the status."""
    return [
        *["curl", "--silent", "--show-error", "--stderr", "-", "--max-time", "5", "--header", f"Host: {host}"],
        *["--write-out", "\n%{http_code}", url],
    ]


def pull(image: str) -> Argv:
    """Fetch an image by its digest."""
    return ["docker", "pull", "--quiet", image]


def inspect_image(image: str) -> Argv:
    """Print what is known of an image, as JSON; fails if it is not here."""
    return ["docker", "image", "inspect", image]


def inspect_containers(ids: Argv) -> Argv:
    """Print what is known of containers, as JSON."""
    return ["docker", "inspect", "--type", "container", *ids]


def verify_signature(image: str, key: Path) -> Argv:
    """Check that the digest was signed with the private half of KEY; no transparency log is asked."""
    return ["cosign", "verify", "--key", str(key), "--insecure-ignore-tlog=true", image]


def tag(image: str, name: str) -> Argv:
    """Give an image the name by which the compose file knows it."""
    return ["docker", "image", "tag", image, name]


def create(image: str, project: str) -> Argv:
    """Make a container of an image, without starting it, to copy files out of; print its id."""
    labels = [f"com.docker.compose.project={project}", "com.docker.compose.oneoff=True", ONE_OFF_LABEL]
    return ["docker", "create", "--network", "none", *[word for label in labels for word in ("--label", label)], image]


def copy_bundle(container: str, folder: Path) -> Argv:
    """Copy the files that a server needs out of an image."""
    return ["docker", "cp", "--quiet", f"{container}:/srv/bundle/.", str(folder)]


def remove_containers(ids: Argv) -> Argv:
    """Take containers away, running or not."""
    return ["docker", "rm", "--force", "--volumes", *ids]


def one_offs(project: str) -> Argv:
    """Print the ids of containers that ops made for one command, such as migrations."""
    return ["docker", "ps", "--all", "--quiet", *having({"project": project}), "--filter", f"label={ONE_OFF_LABEL}"]


def make_volume(project: str, name: str) -> Argv:
    """Make a volume that Compose takes for the database's."""
    labels = (f"com.docker.compose.project={project}", "com.docker.compose.volume=db", RESTORED_LABEL)
    return ["docker", "volume", "create", *[word for label in labels for word in ("--label", label)], name]


def volumes(project: str, *filters: str) -> Argv:
    """Print the names of the volumes that are or were the database's."""
    labels = (f"com.docker.compose.project={project}", "com.docker.compose.volume=db", *filters)
    return ["docker", "volume", "ls", "--quiet", *[word for label in labels for word in ("--filter", f"label={label}")]]


def remove_volume(name: str) -> Argv:
    """Take a volume away, unless a container still has it."""
    return ["docker", "volume", "rm", name]


def having(labels: dict[str, str]) -> Argv:
    """Return the options of `docker ps` for containers with these labels of Compose's."""
    return [word for name, value in labels.items() for word in ("--filter", f"label=com.docker.compose.{name}={value}")]


def remove_image(image: str) -> Argv:
    """Take an image away, unless something still uses it."""
    return ["docker", "image", "rm", image]


def logs_of(container: str) -> Argv:
    """Print the last lines that a container logged."""
    return ["docker", "logs", "--tail", "15", container]


def engine() -> Argv:
    """Print the engine's version; fails if none answers."""
    return ["docker", "version", "--format", "{{.Server.Version}}"]


def root() -> Argv:
    """Print the folder in which the engine keeps images, containers and volumes."""
    return ["docker", "info", "--format", "{{.DockerRootDir}}"]


def compose_version() -> Argv:
    """Print the version of Compose."""
    return ["docker", "compose", "version", "--short"]


def give(folder: Path, uid: int, names: Argv, image: str) -> Argv:
    """Make files belong to the user of a container. In a container, because here only root may give files away."""
    powers = [word for power in ("CHOWN", "DAC_READ_SEARCH") for word in ("--cap-add", power)]
    return [
        *["docker", "run", "--rm", "--network", "none", "--user", "0:0", "--cap-drop", "ALL", *powers],
        *["--volume", f"{folder}:/given", "--entrypoint", "chown", image, "-R", f"{uid}:{uid}"],
        *[f"/given/{name}" for name in names],
    ]


def placeholder(folder: Path, host: str, image: str) -> Argv:
    """Make a self-signed certificate (ECDSA, P-256) for a host's name, and its key."""
    request = ["req", "-x509", "-nodes", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-days", "365"]
    return [
        *["docker", "run", "--rm", "--network", "none", "--user", "0:0"],
        *["--volume", f"{folder}:/given", "--entrypoint", "openssl", image, *request],
        *["-subj", "/CN=placeholder", "-addext", f"subjectAltName=DNS:{host}"],
        *["-keyout", "/given/privkey.pem", "-out", "/given/fullchain.pem"],
    ]
