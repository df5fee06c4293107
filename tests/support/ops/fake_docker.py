"""A fake of Docker, nginx and two colours: each command changes what the next one returns."""

import json
from dataclasses import dataclass, field
from pathlib import Path
from subprocess import CompletedProcess

from ops.docker.compose import CHECK_SCRIPT, ONE_OFF_LABEL, Compose
from ops.docker.runner import Runner
from ops.release import state
from ops.release.state import COLOURS, INTERNAL_URLS, Traffic
from tests.support.ops.faults import CommandError

SECRETS = ("secret_key", "cache_acl")


@dataclass
class FakeRunner(Runner):
    """The real runner with the fake instead of a process."""

    docker: "FakeDocker" = None

    def _start(self, argv, timeout, *, merge=False):  # noqa: ARG002
        try:
            code, output = 0, self.docker.execute(argv)
        except CommandError as refused:
            code, output = 1, str(refused)
        return CompletedProcess(argv, code, output, "")


@dataclass
class FakeDocker:
    """The state of one server; `executed` has each command, `lost` each cause of a lost request."""

    folder: object
    images: dict = field(default_factory=dict)  # by name
    colours: dict = field(default_factory=dict)  # the image of a colour's container
    running: set = field(default_factory=set)
    nginx: Traffic = field(default_factory=lambda: Traffic("blue"))
    pending: Traffic = None  # the traffic split that nginx has not loaded yet
    leaving: Traffic = None  # the traffic split of the old workers
    worker: int = 1
    polls: int = 0  # of the old workers, until they exit
    one_offs: list = field(default_factory=list)
    log: str = ""  # of nginx
    executed: list = field(default_factory=list)
    lost: list = field(default_factory=list)
    fail: object = lambda _words: None  # called before each command; may raise
    after: object = lambda _words: None  # called after each command; may raise
    unpack: object = None  # copies the bundle of an image
    renew: object = lambda _words: ""  # replaces deploy/certbot/renew.py
    compose: str = "2.40.1\n"
    root: str = "/nowhere/docker"
    repository: str = ""  # IMAGE_REPOSITORY
    owners: dict = field(default_factory=dict)  # of files
    volumes: set = field(default_factory=lambda: {"shop_db"})  # current and previous ones of the database
    read_only: bool = False
    database: str = "shop_db"  # its volume while it runs
    trials: set = field(default_factory=set)  # volumes of temporary databases
    filled: dict = field(default_factory=dict)  # the restore steps of each volume
    backups: list = field(default_factory=list)  # the output of deploy/backup/list.sh
    optional: dict = field(default_factory=dict)  # services with an enabled profile
    hashes: dict = field(default_factory=lambda: {"db": "1", "nginx": "1", "web-blue": "1", "migrate": "1"})
    environment: dict = field(default_factory=dict)  # of the current command
    made_from: dict = field(default_factory=lambda: {"db": "1", "nginx": "1"})

    @property
    def state(self):
        """The folder of ops' state files."""
        return self.folder / "state"

    def execute(self, argv):
        """Execute a command and return its output."""
        self.fail(argv)
        self.executed.append(" ".join(argv))
        output = self._do(self._short(argv))
        self.after(argv)
        return output

    def _short(self, argv):
        self.environment = {}
        if argv[0] == "env":
            command = next(index for index, word in enumerate(argv[1:], 1) if "=" not in word)
            self.environment = dict(word.split("=", 1) for word in argv[1:command])
            argv = argv[command:]
        prefix = len(Compose("", "").argv())
        return ["compose", *argv[prefix:]] if argv[:2] == ["docker", "compose"] and "--file" in argv else argv

    def _do(self, argv):
        text = " ".join(argv)
        for start, method in {
            "compose config --format": self._config,
            "compose config --hash": lambda _: "".join(f"{name} {value}\n" for name, value in self.hashes.items()),
            "compose up": self._up,
            "compose stop": self._stop,
            "compose down": lambda _: self.trials.clear(),
            "compose run --rm --no-deps -T --label ops=one-off restore": self._restore,
            "compose run --rm --no-deps -T --label ops=one-off backup": self._dump,
            "compose run --rm --no-deps -T backup": lambda _: "\n".join(map(json.dumps, self.backups)),
            "docker volume create": lambda argv: self.volumes.add(argv[-1]),
            "docker volume ls": self._volumes,
            "docker volume rm": lambda argv: self.volumes.remove(argv[-1]),
            "compose ps": self._ps,
            "compose logs": lambda _: self.log,
            "compose run": self._run,
            "docker exec": lambda argv: self._in_nginx(argv[3:]),
            "docker ps": self._list,
            "docker image inspect": self._inspect_image,
            "docker inspect": self._inspect,
            "docker image tag": self._tag,
            "docker image rm": lambda argv: self.images.pop(argv[-1], None) and "",
            "docker rm": lambda argv: [self.one_offs.remove(name) for name in argv[4:]] and "",
            "docker pull": lambda _: "",
            "docker create": lambda _: self.one_offs.append("made") or "made\n",
            "docker cp": self._copy,
            "cosign verify": lambda _: "",
            "docker version": lambda _: "29.0.0\n",
            "docker info": lambda _: f"{self.root}\n",
            "docker compose version": lambda _: self.compose,
            "docker run": self._given,
            "compose restart": lambda _: "",
            "compose exec": self._exec,
            "docker logs": lambda _: "Traceback: no module named shop",
        }.items():
            if text.startswith(start):
                return method(argv) or ""
        raise AssertionError(f"the fake has no {text}")

    def _config(self, _words):
        web = {"environment": {"TRUSTED_HOSTS": "shop.example"}, "deploy": {"replicas": 1}}
        ports = [{"target": inside, "published": outside} for inside, outside in ((8443, "443"), (8080, "80"))]
        nginx = {"image": "nginx:1.30", "ports": ports}
        secrets = {name: {"file": str(self.folder / "secrets" / name)} for name in SECRETS}
        ops = {"smoke": "/api/products", "repository": self.repository}
        backup = {"volumes": [{"target": "/backups", "source": str(self.folder / "backups")}]}
        services = {"web-blue": web, "web-green": web, "nginx": nginx, "backup": backup, **self.optional}
        services["db"] = {"image": f"postgres:{self.setting('POSTGRES_MAJOR', '18')}"}
        volumes = {"db": {"name": self.wanted}}
        return json.dumps({"name": "shop", "services": services, "volumes": volumes, "secrets": secrets, "x-ops": ops})

    @property
    def wanted(self):
        """The database's volume in .env, or the first one."""
        return self.setting("DB_VOLUME", "shop_db")

    def setting(self, name, default):
        """Return a setting as Compose resolves it."""
        lines = (self.folder / ".env").read_text(encoding="utf-8").splitlines()
        named = [line.partition("=")[2] for line in lines if line.startswith(f"{name}=")]
        return self.environment.get(name, named[0] if named else default)

    def _exec(self, argv):
        if "/opt/postgres/read_only.sh" in argv:
            self.read_only = argv[-1] == "on"
            return ""
        return self.renew(argv[3:]) or ""

    def _dump(self, _words):
        assert self.read_only
        self.backups.append({**self.backups[0], "kind": "dump", "name": "a-dump", "lineage": "dumps"})
        return "a-dump\n"

    def _restore(self, argv):
        self.filled.setdefault(self.environment["DB_VOLUME"], []).append(argv[-3])

    def _volumes(self, argv):
        made = {name for name in self.volumes if name != "shop_db"}
        return "\n".join(made if "label=ops=restored" in argv else self.volumes)

    def _up(self, argv):
        if argv[-1] == "db" and "COMPOSE_PROJECT_NAME" in self.environment:
            self.trials.add(self.wanted)
        elif "db" in argv and (not self.database or "--no-recreate" not in argv):
            self.database = self.wanted
        if argv[-1].startswith("web-"):
            colour = argv[-1][4:]
            self.colours[colour] = self.images[f"shop:{colour}"]
            self.running.add(colour)

    def _stop(self, argv):
        if "db" in argv:
            self.database = None
            return
        colour = argv[-1][4:]
        for traffic in (self.nginx, self.leaving):
            if traffic and colour in self.running and (colour == traffic.colour or traffic.percent):
                self.lost.append(f"{colour} was stopped while it had traffic")
        self.running.discard(colour)

    def _ps(self, _words):
        rows = self.made_from.items()
        label = "com.docker.compose.config-hash"
        return "\n".join(
            json.dumps({"Service": name, "State": "running", "Health": "", "Labels": f"a=b,{label}={value},c"})
            for name, value in rows
        )

    def _run(self, argv):
        if self.environment.get("COMPOSE_PROJECT_NAME"):
            assert self.trials == {self.environment["DB_VOLUME"]}
            return ""
        image = self.images[self.environment["MIGRATE_IMAGE"]]
        if CHECK_SCRIPT in argv[-1]:
            return image.findings
        return image.pending if argv[-1] == "pending" else ""

    def _list(self, argv):
        if f"label={ONE_OFF_LABEL}" in argv:
            return "\n".join(self.one_offs)
        found = [colour for colour in COLOURS if f"label=com.docker.compose.service=web-{colour}" in argv]
        return "\n".join(colour for colour in found if colour in self.colours)

    def _inspect_image(self, argv):
        image = self.images.get(argv[-1])
        if not image:
            raise CommandError(f"Error: No such image: {argv[-1]}")
        labels = {"org.opencontainers.image.revision": image.commit}
        return json.dumps([{"Config": {"Labels": labels}, "RepoDigests": image.names}])

    def _inspect(self, argv):
        return json.dumps([self._container(name) for name in argv if name in COLOURS])

    def _container(self, colour):
        image = self.colours[colour]
        status = "running" if colour in self.running and not image.exits else "exited"
        state = {"Status": status, "ExitCode": 3}
        networks = {"shop_backend": {"IPAddress": "10.0.9.9"}, "shop_frontend": {"IPAddress": f"address-of-{colour}"}}
        name = f"/shop-web-{colour}-1"
        known = {"Image": image.name, "Config": {"Labels": {"org.opencontainers.image.revision": image.commit}}}
        return {"Name": name, "State": state, "RestartCount": 0, "NetworkSettings": {"Networks": networks}, **known}

    def _tag(self, argv):
        self.images[argv[-1]] = self.images[argv[-2]]

    def _copy(self, argv):
        return self.unpack(argv[-1])

    def _given(self, argv):
        if "chown" in argv:
            uid = argv[argv.index("-R") + 1]
            names = [word.removeprefix("/files/") for word in argv if word.startswith("/files/")]
            self.owners.update(dict.fromkeys(names, uid))
        else:
            folder = Path(argv[argv.index("--volume") + 1].partition(":")[0])
            for name in ("fullchain.pem", "privkey.pem"):
                (folder / name).write_text("self-signed", encoding="utf-8")

    def _in_nginx(self, argv):
        if argv[0] == "curl":
            return "{1}\n{0}".format(*self._curl(argv[-1]))
        if argv[0] == "sh":
            return self._workers()
        if argv[-1] == "reload":
            self.pending = state.read_traffic(self.state / "traffic" / "active-colour.conf")
        return ""

    def _workers(self):
        """Print the workers, and those that are shutting down; each call advances nginx by a step."""
        new, old = f"/proc/{self.worker}/cmdline", f"/proc/{self.worker - 1}/cmdline"
        if self.pending:
            self.leaving, self.nginx, self.pending = self.nginx, self.pending, None
            self.worker, self.polls = self.worker + 1, 2
            return f"{new}\n--\n"
        if not self.leaving:
            return f"{new}\n--\n"
        self.polls -= 1
        if self.polls <= 0:
            self.leaving = None
        return f"{new}\n{old}\n--\n{old}\n"

    def _curl(self, url):
        host, _, path = url.removeprefix("http://").partition("/")
        addresses = {f"address-of-{colour}:8000": colour for colour in COLOURS}
        internal = {address.removeprefix("http://"): colour for colour, address in INTERNAL_URLS.items()}
        return self.respond({**addresses, **internal}[host], f"/{path}")

    def respond(self, colour, path):
        """Return the status and body of a colour's response."""
        return self.colours[colour].respond(path) if colour in self.running else (502, "")
