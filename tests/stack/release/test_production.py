"""The security floor of a server in production, seen on its running containers."""

import http.client
import json
import socket
import ssl
import stat

import pytest

from tests.support.stack.client import TLS, ask, is_problem
from tests.support.stack.compose import docker
from tests.support.stack.confinement import has_default_route, privileges_beyond, processes
from tests.support.stack.server import HOST

DATA = ("db", "wal-receiver", "backup", "restore-drill", "redis-cache", "redis-sessions")
USERS = {"nginx": "101", "certbot": "101", "web": "10001", **dict.fromkeys(DATA, "999")}
services = pytest.mark.parametrize("service", USERS)


@pytest.fixture(scope="module")
def named(server):
    """Return a function that turns `web` into the service of the colour that serves."""
    colour = server.status()["active_colour"]
    return lambda service: f"web-{colour}" if service == "web" else service


@pytest.fixture(scope="module")
def inspected(server, named):
    """Return what `docker inspect` tells of each service's container."""
    ids = {service: server.compose("ps", "--quiet", named(service)).stdout.strip() for service in USERS}
    return {service: json.loads(docker("inspect", found).stdout)[0] for service, found in ids.items()}


def can_reach(server, service, address, port):
    """Whether a service's container gets a TCP connection to an address."""
    script = f"timeout 2 bash -c '</dev/tcp/{address}/{port}'"
    return server.compose("exec", "-T", service, "bash", "-c", script, check=False).returncode == 0


def addresses(container):
    """Return a container's addresses."""
    return [network["IPAddress"] for network in container["NetworkSettings"]["Networks"].values()]


@services
def test_every_process_is_without_privileges(server, named, service):
    """No process is root, has a capability, or can gain any."""
    for process in processes(server, named(service)):
        assert privileges_beyond(process, USERS[service]) == {}, process["Name:"]


@services
def test_nothing_can_be_written_to_its_own_disk(server, named, service):
    """Who gets in can leave nothing behind: the root file system is read-only."""
    done = server.compose("exec", "-T", named(service), "touch", "/planted", check=False)
    assert "Read-only file system" in done.stderr


@services
def test_what_a_container_may_take_is_bounded(inspected, service):
    """Processes, memory and logs have a limit, and what dies comes back."""
    host = inspected[service]["HostConfig"]
    assert (host["PidsLimit"], host["RestartPolicy"]["Name"]) == (1200 if service == "db" else 200, "unless-stopped")
    assert 0 < host["Memory"] <= 2 * 2**30
    assert host["LogConfig"] == {"Type": "local", "Config": {"max-size": "20m", "max-file": "5"}}


def test_only_nginx_publishes_ports(server, inspected):
    """HTTP and HTTPS are open, the latter by UDP too, for HTTP/3; all of it nginx'."""
    published = {
        (service, inside, binding["HostPort"])
        for service, container in inspected.items()
        for inside, bindings in container["NetworkSettings"]["Ports"].items()
        for binding in bindings or []
    }
    inside = {"8080/tcp": server.http, "8443/tcp": server.https, "8443/udp": server.https}
    assert published == {("nginx", port, str(outside)) for port, outside in inside.items()}


def test_the_data_has_no_way_out_and_the_application_has_one(server, named):
    """Neither Postgres nor Redis has a route to anywhere but their own network."""
    assert {service: has_default_route(server, named(service)) for service in USERS} == {
        "nginx": True,
        "certbot": True,
        "web": True,
        **dict.fromkeys(DATA, False),
    }


@pytest.mark.parametrize(("service", "port"), [("db", 5432), ("redis-cache", 6379), ("redis-sessions", 6379)])
def test_nginx_cannot_reach_the_data(server, inspected, named, service, port):
    """Nginx knows neither the name nor a way to the address; the application does."""
    for address in (service, *addresses(inspected[service])):
        assert can_reach(server, named("web"), address, port)
        assert not can_reach(server, "nginx", address, port)


def test_no_secret_is_in_what_docker_shows(server, inspected):
    """Neither the containers' description nor the Compose configuration holds a secret."""
    shown = json.dumps(inspected) + server.compose("config").stdout
    texts = {path.name: path.read_text().strip() for path in (server.folder / "secrets").iterdir()}
    assert len(texts) == 19
    assert [name for name, text in texts.items() if text and text in shown] == []


def test_a_secret_is_readable_for_one_user_alone(server):
    """Each secret has the mode 0600 and belongs to the user that reads it; nobody else may look into their folder."""
    folder = server.folder / "secrets"
    assert stat.S_IMODE(folder.stat().st_mode) == 0o700
    assert {stat.S_IMODE(path.stat().st_mode) for path in folder.iterdir()} == {0o600}
    mine = ("secret_key", "database_url", "owner_database_url", "cache_url")
    users = {**dict.fromkeys(mine, 10001), "webhook_url": 101, "heartbeat_url": 101}
    users["grafana_password"] = 472
    owners = {path.name: path.stat().st_uid for path in folder.iterdir()}
    assert owners == {name: users.get(name, 999) for name in owners}


def test_a_service_has_only_the_secrets_that_it_needs(server, named):
    """The application has no password of the schema's owner, Postgres none of Redis', and nginx none at all."""
    script = "ls /run/secrets 2>/dev/null || true"
    seen = {each: server.compose("exec", "-T", named(each), "sh", "-c", script).stdout.split() for each in USERS}
    assert seen == {
        "nginx": [],
        "certbot": [],
        "web": ["cache_url", "database_url", "secret_key"],
        "db": ["app_password", "backup_password", "monitor_password", "owner_password", "postgres_password"],
        "wal-receiver": ["backup_password"],
        "backup": ["backup_password"],
        "restore-drill": ["app_password", "backup_password", "monitor_password", "owner_password", "postgres_password"],
        "redis-cache": ["cache", "cache_acl"],
        "redis-sessions": ["sessions", "sessions_acl"],
    }


def test_plain_http_leads_pages_to_https(server):
    """A page asked for in the clear is redirected, with its query and its method kept."""
    answer = ask(server.http, "/health?q=1", headers={"Host": HOST})
    assert (answer.status, answer.headers["Location"]) == (308, f"https://{HOST}/health?q=1")


@pytest.mark.parametrize("path", ["/api/products", "/cache"])
def test_plain_http_refuses_the_api(server, path):
    """A client that would send its token in the clear is refused instead of helped along."""
    assert is_problem(ask(server.http, path, headers={"Host": HOST}), 403)


@pytest.mark.parametrize("name", ["evil.example", "127.0.0.1", "shop.example.evil.example", ""])
def test_another_name_gets_no_certificate(server, name):
    """Who asks for a name that is not ours, or for none, is not told whose server this is."""
    with (
        socket.create_connection(("127.0.0.1", server.https), timeout=5) as plain,
        pytest.raises(ssl.SSLError, match=r"(?i)unrecognized.name"),
    ):
        TLS.wrap_socket(plain, server_hostname=name or None)


def test_another_name_gets_no_answer(server):
    """In the clear the connection is closed without a word, and behind our own certificate it is the wrong place."""
    with pytest.raises(http.client.RemoteDisconnected):
        ask(server.http, "/health", headers={"Host": "evil.example"})
    assert is_problem(server.ask("/health", headers={"Host": "evil.example"}), 421)


def test_the_list_is_cached_in_redis(server):
    """The cache is connected, and the second answer comes from it."""
    assert server.ask("/health/ready").json["checks"]["redis"] == "connected"
    path, past_nginx = f"/api/products?price_max={server.https}", {"Cookie": "a=b"}
    first, second = (server.ask(path, headers=past_nginx).headers["Cache-Status"] for _ in range(2))
    assert ("hit" in first, "app; hit" in second) == (False, True)
