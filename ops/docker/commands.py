"""Docker and nginx commands as argument lists, which a dry run prints and tests compare."""

from __future__ import annotations

from pathlib import Path

from ops.docker.compose import ONE_OFF_LABEL, RESTORED_LABEL, Argv, service

EDGE = "/etc/nginx/edge"  # nginx's configuration in its container


def containers(project: str, colour: str) -> Argv:
    """Print the ids of a colour's containers, including stopped ones."""
    labels = {"project": project, "service": service(colour), "oneoff": "False"}
    return ["docker", "ps", "--all", "--quiet", *label_filters(labels)]


def in_nginx(project: str, *argv: str) -> Argv:
    """Run a command in the nginx container."""
    return ["docker", "exec", f"{project}-nginx-1", *argv]


def test_nginx(folder: str) -> Argv:
    """Render and test the configuration in a folder; a reload applies it."""
    return ["sh", f"{folder}/apply-config.sh", folder]


def reload_nginx() -> Argv:
    """Reload: new workers start, old ones finish their requests."""
    return ["nginx", "-c", f"{EDGE}/production.conf", "-s", "reload"]


def list_nginx_workers() -> Argv:
    """Print a line for each nginx worker and, after `--`, for those that are shutting down."""
    find = "grep --files-with-matches --no-messages"
    running, leaving = (f"{find} '{text}' /proc/[0-9]*/cmdline" for text in ("worker [p]rocess", "[s]hutting down"))
    return ["sh", "-c", f"{running}; echo --; {leaving}; true"]


def curl(url: str, host: str) -> Argv:
    """Request a URL with a Host header; print the body and, on the last line, the status."""
    return [
        *["curl", "--silent", "--show-error", "--stderr", "-", "--max-time", "5", "--header", f"Host: {host}"],
        *["--write-out", "\n%{http_code}", url],
    ]


def pull(image: str) -> Argv:
    """Pull an image by digest."""
    return ["docker", "pull", "--quiet", image]


def inspect_image(image: str) -> Argv:
    """Print an image's details as JSON; fails if it is not on this server."""
    return ["docker", "image", "inspect", image]


def inspect_containers(ids: Argv) -> Argv:
    """Print containers' details as JSON."""
    return ["docker", "inspect", "--type", "container", *ids]


def verify_signature(image: str, key: Path) -> Argv:
    """Verify the digest's signature with a public key, without a transparency log."""
    return ["cosign", "verify", "--key", str(key), "--insecure-ignore-tlog=true", image]


def tag(image: str, name: str) -> Argv:
    """Tag an image with its name in the Compose file."""
    return ["docker", "image", "tag", image, name]


def create(image: str, project: str) -> Argv:
    """Create a container to copy files from, without starting it; print its id."""
    labels = [f"com.docker.compose.project={project}", "com.docker.compose.oneoff=True", ONE_OFF_LABEL]
    return ["docker", "create", "--network", "none", *[word for label in labels for word in ("--label", label)], image]


def copy_bundle(container: str, folder: Path) -> Argv:
    """Copy the bundle out of a container."""
    return ["docker", "cp", "--quiet", f"{container}:/srv/bundle/.", str(folder)]


def remove_containers(ids: Argv) -> Argv:
    """Remove containers, including running ones."""
    return ["docker", "rm", "--force", "--volumes", *ids]


def one_offs(project: str) -> Argv:
    """Print the ids of the containers that ops started for one command, such as migrations."""
    return [
        "docker",
        "ps",
        "--all",
        "--quiet",
        *label_filters({"project": project}),
        "--filter",
        f"label={ONE_OFF_LABEL}",
    ]


def make_volume(project: str, name: str) -> Argv:
    """Create a volume that Compose accepts as the database's."""
    labels = (f"com.docker.compose.project={project}", "com.docker.compose.volume=db", RESTORED_LABEL)
    return ["docker", "volume", "create", *[word for label in labels for word in ("--label", label)], name]


def volumes(project: str, *filters: str) -> Argv:
    """Print the names of the database's current and previous volumes."""
    labels = (f"com.docker.compose.project={project}", "com.docker.compose.volume=db", *filters)
    return ["docker", "volume", "ls", "--quiet", *[word for label in labels for word in ("--filter", f"label={label}")]]


def remove_volume(name: str) -> Argv:
    """Remove a volume that no container uses."""
    return ["docker", "volume", "rm", name]


def label_filters(labels: dict[str, str]) -> Argv:
    """Return the options of `docker ps` that select containers by Compose's labels."""
    return [word for name, value in labels.items() for word in ("--filter", f"label=com.docker.compose.{name}={value}")]


def remove_image(image: str) -> Argv:
    """Remove an image that no container uses."""
    return ["docker", "image", "rm", image]


def logs_of(container: str) -> Argv:
    """Print the last log lines of a container."""
    return ["docker", "logs", "--tail", "15", container]


def docker_version() -> Argv:
    """Print Docker's version; fails if the engine does not respond."""
    return ["docker", "version", "--format", "{{.Server.Version}}"]


def docker_root() -> Argv:
    """Print the folder of Docker's images, containers and volumes."""
    return ["docker", "info", "--format", "{{.DockerRootDir}}"]


def compose_version() -> Argv:
    """Print the version of Compose."""
    return ["docker", "compose", "version", "--short"]


def chown(folder: Path, uid: int, names: Argv, image: str) -> Argv:
    """Change the owner of files, in a container, since only root may do so."""
    capabilities = [word for capability in ("CHOWN", "DAC_READ_SEARCH") for word in ("--cap-add", capability)]
    return [
        *["docker", "run", "--rm", "--network", "none", "--user", "0:0", "--cap-drop", "ALL", *capabilities],
        *["--volume", f"{folder}:/files", "--entrypoint", "chown", image, "-R", f"{uid}:{uid}"],
        *[f"/files/{name}" for name in names],
    ]


def self_signed_certificate(folder: Path, host: str, image: str) -> Argv:
    """Create a self-signed certificate (ECDSA, P-256) and its key."""
    request = ["req", "-x509", "-nodes", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-days", "365"]
    return [
        *["docker", "run", "--rm", "--network", "none", "--user", "0:0"],
        *["--volume", f"{folder}:/files", "--entrypoint", "openssl", image, *request],
        *["-subj", "/CN=placeholder", "-addext", f"subjectAltName=DNS:{host}"],
        *["-keyout", "/files/privkey.pem", "-out", "/files/fullchain.pem"],
    ]
