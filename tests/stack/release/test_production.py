"""Production's security baseline, verified on the running containers."""

import http.client
import json
import socket
import ssl
import stat

import pytest

from tests.support.stack.client import TLS, is_problem, send_request
from tests.support.stack.compose import docker
from tests.support.stack.confinement import has_default_route, privileges_beyond, processes
from tests.support.stack.server import HOST

DATA = ("db", "wal-receiver", "backup", "restore-drill", "redis-cache", "redis-sessions")
USERS = {"nginx": "101", "certbot": "101", "web": "10001", **dict.fromkeys(DATA, "999")}
services = pytest.mark.parametrize("service", USERS)


@pytest.fixture(scope="module")
def service_name(server):
    """Return a function that replaces `web` with the active colour's service."""
    colour = server.status()["active_colour"]
    return lambda service: f"web-{colour}" if service == "web" else service


@pytest.fixture(scope="module")
def inspected(server, service_name):
    """The output of `docker inspect` for each service's container."""
    ids = {service: server.compose("ps", "--quiet", service_name(service)).stdout.strip() for service in USERS}
    return {service: json.loads(docker("inspect", container).stdout)[0] for service, container in ids.items()}


def can_reach(server, service, address, port):
    """Whether a service's container can open a TCP connection to an address."""
    script = f"timeout 2 bash -c '</dev/tcp/{address}/{port}'"
    return server.compose("exec", "-T", service, "bash", "-c", script, check=False).returncode == 0


def addresses(container):
    """Return a container's addresses."""
    return [network["IPAddress"] for network in container["NetworkSettings"]["Networks"].values()]


@pytest.mark.guarantee(
    "In production no process runs as root, writes to its root file system or sees another service's secrets"
)
@services
def test_no_process_has_privileges(server, service_name, service):
    """No process runs as root, has a capability or can gain one."""
    for process in processes(server, service_name(service)):
        assert privileges_beyond(process, USERS[service]) == {}, process["Name:"]


@pytest.mark.guarantee(
    "In production no process runs as root, writes to its root file system or sees another service's secrets"
)
@services
def test_the_root_file_system_is_read_only(server, service_name, service):
    """A process cannot write to its container's root file system."""
    completed = server.compose("exec", "-T", service_name(service), "touch", "/planted", check=False)
    assert "Read-only file system" in completed.stderr


@services
def test_resources_are_limited(inspected, service):
    """Processes, memory and logs have limits, and failed containers restart."""
    host = inspected[service]["HostConfig"]
    assert (host["PidsLimit"], host["RestartPolicy"]["Name"]) == (1200 if service == "db" else 200, "unless-stopped")
    assert 0 < host["Memory"] <= 2 * 2**30
    assert host["LogConfig"] == {"Type": "local", "Config": {"max-size": "20m", "max-file": "5"}}


def test_only_nginx_publishes_ports(server, inspected):
    """Only nginx publishes ports: HTTP, HTTPS, and HTTPS over UDP for HTTP/3."""
    published = {
        (service, port, binding["HostPort"])
        for service, container in inspected.items()
        for port, bindings in container["NetworkSettings"]["Ports"].items()
        for binding in bindings or []
    }
    expected = {"8080/tcp": server.http, "8443/tcp": server.https, "8443/udp": server.https}
    assert published == {("nginx", port, str(published_port)) for port, published_port in expected.items()}


@pytest.mark.guarantee("Postgres, Redis and the backups have no internet access and are unreachable from nginx")
def test_data_services_have_no_internet_access(server, service_name):
    """Postgres, Redis and the backup services have no default route; the application has one."""
    assert {service: has_default_route(server, service_name(service)) for service in USERS} == {
        "nginx": True,
        "certbot": True,
        "web": True,
        **dict.fromkeys(DATA, False),
    }


@pytest.mark.guarantee("Postgres, Redis and the backups have no internet access and are unreachable from nginx")
@pytest.mark.parametrize(("service", "port"), [("db", 5432), ("redis-cache", 6379), ("redis-sessions", 6379)])
def test_nginx_cannot_reach_the_data(server, inspected, service_name, service, port):
    """Nginx can neither resolve nor reach Postgres and Redis; the application can."""
    for address in (service, *addresses(inspected[service])):
        assert can_reach(server, service_name("web"), address, port)
        assert not can_reach(server, "nginx", address, port)


def test_docker_shows_no_secret(server, inspected):
    """Neither `docker inspect` nor the Compose configuration shows a secret."""
    output = json.dumps(inspected) + server.compose("config").stdout
    texts = {path.name: path.read_text().strip() for path in (server.folder / "secrets").iterdir()}
    assert len(texts) == 19
    assert [name for name, text in texts.items() if text and text in output] == []


def test_a_secret_is_readable_by_one_user(server):
    """Each secret has mode 0600 and belongs to the user that reads it, in a folder with mode 0700."""
    folder = server.folder / "secrets"
    assert stat.S_IMODE(folder.stat().st_mode) == 0o700
    assert {stat.S_IMODE(path.stat().st_mode) for path in folder.iterdir()} == {0o600}
    application = ("secret_key", "database_url", "owner_database_url", "cache_url")
    users = {**dict.fromkeys(application, 10001), "webhook_url": 101, "heartbeat_url": 101}
    users["grafana_password"] = 472
    owners = {path.name: path.stat().st_uid for path in folder.iterdir()}
    assert owners == {name: users.get(name, 999) for name in owners}


@pytest.mark.guarantee(
    "In production no process runs as root, writes to its root file system or sees another service's secrets"
)
def test_a_service_has_only_the_secrets_that_it_needs(server, service_name):
    """Each service mounts only the secrets that it needs."""
    script = "ls /run/secrets 2>/dev/null || true"
    seen = {each: server.compose("exec", "-T", service_name(each), "sh", "-c", script).stdout.split() for each in USERS}
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


def test_plain_http_redirects_pages(server):
    """A page requested over HTTP is redirected with its query, by 308."""
    response = send_request(server.http, "/health?q=1", headers={"Host": HOST})
    assert (response.status, response.headers["Location"]) == (308, f"https://{HOST}/health?q=1")


@pytest.mark.parametrize("path", ["/api/products", "/cache"])
def test_plain_http_rejects_the_api(server, path):
    """An API request over HTTP gets 403, so that a client that sends its token in the clear fails at once."""
    assert is_problem(send_request(server.http, path, headers={"Host": HOST}), 403)


@pytest.mark.guarantee("A request for an unknown host gets neither a certificate nor a response")
@pytest.mark.parametrize("name", ["evil.example", "127.0.0.1", "shop.example.evil.example", ""])
def test_unknown_hosts_get_no_certificate(server, name):
    """A TLS client that requests an unknown host, or none, gets no certificate."""
    with (
        socket.create_connection(("127.0.0.1", server.https), timeout=5) as plain,
        pytest.raises(ssl.SSLError, match=r"(?i)unrecognized.name"),
    ):
        TLS.wrap_socket(plain, server_hostname=name or None)


@pytest.mark.guarantee("A request for an unknown host gets neither a certificate nor a response")
def test_unknown_hosts_get_no_response(server):
    """An HTTP request for an unknown host is closed; one over a known host's connection gets 421."""
    with pytest.raises(http.client.RemoteDisconnected):
        send_request(server.http, "/health", headers={"Host": "evil.example"})
    assert is_problem(server.request("/health", headers={"Host": "evil.example"}), 421)


def test_the_list_is_cached_in_redis(server):
    """Redis is connected, and the second response comes from it."""
    assert server.request("/health/ready").json["checks"]["redis"] == "connected"
    path, bypass = f"/api/products?price_max={server.https}", {"Cookie": "a=b"}
    first, second = (server.request(path, headers=bypass).headers["Cache-Status"] for _ in range(2))
    assert ("hit" in first, "app; hit" in second) == (False, True)
