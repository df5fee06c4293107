"""Certificates in production: the first one, automatic renewal, and a failed renewal, under load."""

import socket
import ssl

import pytest

from tests.support.helpers import wait_for
from tests.support.stack.acme import Authority
from tests.support.stack.client import TLS, send_request
from tests.support.stack.compose import docker
from tests.support.stack.load import Load
from tests.support.stack.server import HOST

HOSTS = (HOST, "www.shop.example")
LIFETIME = 60  # seconds; a renewal is due after half of it
SLOWEST_S = 2.0
MIN_REQUESTS = 3000
needs_certificate = pytest.mark.usefixtures("obtained")


def certificate(server, host=HOST):
    """Return the certificate that nginx serves, in DER."""
    with (
        socket.create_connection(("127.0.0.1", server.https), timeout=5) as plain,
        TLS.wrap_socket(plain, server_hostname=host) as connection,
    ):
        return connection.getpeercert(binary_form=True)


@pytest.fixture(scope="module")
def site(new_server, one):
    """A server with two names and a live release, under the placeholder of init."""
    server = new_server()
    settings = server.folder / ".env"
    text = settings.read_text().replace(f"TRUSTED_HOSTS={HOST}", f"TRUSTED_HOSTS={','.join(HOSTS)}")
    settings.write_text(f"{text}ACME_EMAIL=me@shop.example\nACME_SERVER=https://pebble:14000/dir\nRENEW_SECONDS=2\n")
    server.ops("deploy", one)
    return server


@pytest.fixture(scope="module")
def placeholder(site):
    """The certificate that nginx serves first."""
    return certificate(site)


@pytest.fixture(scope="module")
def load(site):
    """A light load from before the first certificate to the end."""
    with Load(site.https, HOST, site.token(), keep_alive=3, fresh=2, rate=10) as load:
        yield load


@pytest.fixture(scope="module")
def authority(site, tmp_path_factory):
    """An ACME server whose certificates are valid for a minute."""
    made = Authority(site, HOSTS, tmp_path_factory.mktemp("acme"), LIFETIME)
    try:
        made.start()
        yield made
    finally:
        made.destroy()


@pytest.fixture(scope="module")
def obtained(site, placeholder, load, authority):  # noqa: ARG001 - in this order
    """The output of `python3 -m ops certificates`."""
    return site.ops("certificates").stdout


def status(server):
    """Return the certificate's status."""
    return server.status()["certificate"]


def live_file(server):
    """Return the file that certificates/live/fullchain.pem resolves to."""
    path = "/certificates/live/fullchain.pem"
    return server.compose("exec", "-T", "certbot", "readlink", "-f", path).stdout.strip()


def logs(server, service):
    """Return a service's log."""
    done = server.compose("logs", "--no-color", "--no-log-prefix", service)
    return done.stdout + done.stderr


def nginx_start(server):
    """Return when nginx was started."""
    return docker("inspect", "--format={{.State.StartedAt}}", f"{server.name}-nginx-1").stdout


def test_placeholder_before_the_first_certificate(site, placeholder):
    """A new server serves a placeholder immediately, and reports it."""
    assert placeholder
    assert "a self-signed placeholder" in site.ops("status").stdout


def test_the_first_certificate(site, placeholder, obtained):
    """One command obtains a certificate for every name and waits until nginx serves it."""
    assert certificate(site) != placeholder
    assert set(status(site)["names"]) == set(HOSTS)
    assert "Pebble" in status(site)["issuer"]
    assert "days left, by" in obtained


@needs_certificate
def test_ecdsa(site):
    """The key is ECDSA P-256."""
    chain = ssl.DER_cert_to_PEM_cert(certificate(site))
    text = site.compose("exec", "-T", "nginx", "sh", "-c", 'echo "$0" | openssl x509 -noout -text', chain).stdout
    assert "id-ecPublicKey" in text
    assert "prime256v1" in text


@needs_certificate
def test_automatic_renewal(site):
    """Before it expires the certificate is renewed and served, without a command or a restart."""
    before, started, file = certificate(site), nginx_start(site), live_file(site)
    wait_for(lambda: live_file(site) != file, seconds=LIFETIME + 30, pause=0.5)
    wait_for(lambda: certificate(site) != before, seconds=60, pause=0.5)
    assert nginx_start(site) == started


@pytest.mark.guarantee("A first certificate, renewals and failed renewals fail no request, and a failure is reported")
@needs_certificate
def test_failed_renewal_is_reported(site, authority):
    """While the authority is unreachable the old one is served; status, log, metric and health check report it."""
    authority.disconnect()
    try:
        found = wait_for(lambda: status(site)["error"] and status(site), seconds=LIFETIME + 30, pause=1)
        assert found["failing_since"]
        assert "FAILING since" in site.ops("status").stdout
        assert '"level": "ERROR", "logger": "certificates"' in logs(site, "certbot")
        assert "\ncertificate_renewal_failing 1\n" in metrics(site)
        assert not site.is_healthy("certbot")
        assert site.request("/health").status == 200
        failed = site.ops("certificates", "--force", check=False)
        assert failed.returncode == 1
        assert "pebble" in failed.stdout
    finally:
        authority.reconnect()


@needs_certificate
def test_automatic_recovery(site):
    """Once the authority responds again, the next attempt renews and clears the error."""
    before = certificate(site)
    wait_for(lambda: not status(site)["error"], seconds=60, pause=1)
    wait_for(lambda: certificate(site) != before, seconds=60, pause=1)
    assert "\ncertificate_renewal_failing 0\n" in metrics(site)


BAD = "mkdir -p bad && echo nonsense >bad/fullchain.pem && echo nonsense >bad/privkey.pem && ln -sfn bad live"


@needs_certificate
def test_invalid_certificate_is_not_loaded(site):
    """Nginx logs an invalid certificate and keeps serving the valid one."""
    site.compose("stop", "certbot")
    before, real = certificate(site), (site.folder / "certificates/live").readlink()
    try:
        place(site, BAD)
        wait_for(lambda: "and rejects the one in" in logs(site, "nginx"), seconds=30, pause=0.5)
        assert certificate(site) == before
    finally:
        place(site, f"ln -sfn {real} live; rm -r bad")
        site.compose("start", "certbot")


@needs_certificate
def test_invalid_certificate_is_replaced(site):
    """The certbot service links the valid certificate again."""
    place(site, BAD)
    try:
        wait_for(lambda: "/bad/" not in live_file(site), seconds=60, pause=0.5)
    finally:
        place(site, "rm -r bad")
    wait_for(lambda: not status(site)["error"], seconds=60, pause=1)
    assert site.request("/health").status == 200


def place(server, script):
    """Run a script in the server's certificates folder, as its owner."""
    argv = ("--rm", "--network=none", "--user=101", f"--volume={server.folder}/certificates:/certificates")
    docker("run", *argv, "--workdir=/certificates", "nginx:1.30", "sh", "-c", script)


@pytest.mark.guarantee("A first certificate, renewals and failed renewals fail no request, and a failure is reported")
@needs_certificate
def test_no_request_failed(load, figure):
    """From the placeholder through every renewal no request fails or is slow."""
    figure(f"certificates: {load.report}")
    assert load.report.total > MIN_REQUESTS
    assert load.report.failures == []
    assert load.report.slowest < SLOWEST_S


@needs_certificate
def test_challenge_over_http(site):
    """Nginx serves ACME challenges on port 80 and redirects everything else to HTTPS."""
    assert send_request(site.http, "/.well-known/acme-challenge/none", headers={"Host": HOST}).status == 404
    assert send_request(site.http, "/.well-known/none", headers={"Host": HOST}).status == 308


@needs_certificate
def test_private_keys(site):
    """Only nginx's user can read a private key."""
    keys = site.compose(
        "exec", "-T", "certbot", "find", "/certificates", "-name", "privkey*.pem", "-type", "f"
    ).stdout.split()
    modes = site.compose("exec", "-T", "certbot", "stat", "-c", "%a %u", *keys).stdout.splitlines()
    assert set(modes) == {"600 101"}


def metrics(server):
    """Return the certificate metrics, read from another container."""
    argv = ("exec", "-T", "certbot", "python3", "-c")
    script = "import urllib.request as u; print(u.urlopen('http://nginx:8004/metrics/certificates').read().decode())"
    return server.compose(*argv, script).stdout
