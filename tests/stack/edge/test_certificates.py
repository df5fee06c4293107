"""Certificates look after themselves: the first one, its renewal, and one that fails, as users see it meanwhile."""

import socket
import ssl

import pytest

from tests.support.helpers import wait_for
from tests.support.stack.acme import Authority
from tests.support.stack.client import TLS, ask
from tests.support.stack.compose import docker
from tests.support.stack.load import Load
from tests.support.stack.server import HOST

HOSTS = (HOST, "www.shop.example")
LIFETIME = 60  # seconds; a renewal is due after half of it
SLOWEST = 2.0
MANY = 3000  # requests
later = pytest.mark.usefixtures("obtained")  # there is a certificate


def certificate(server, host=HOST):
    """Return the certificate that users meet, in bytes."""
    with (
        socket.create_connection(("127.0.0.1", server.https), timeout=5) as plain,
        TLS.wrap_socket(plain, server_hostname=host) as connection,
    ):
        return connection.getpeercert(binary_form=True)


@pytest.fixture(scope="module")
def site(new_server, one):
    """A server with two names, on which a release serves under the placeholder that init has made."""
    server = new_server()
    settings = server.folder / ".env"
    text = settings.read_text().replace(f"TRUSTED_HOSTS={HOST}", f"TRUSTED_HOSTS={','.join(HOSTS)}")
    settings.write_text(f"{text}ACME_EMAIL=me@shop.example\nACME_SERVER=https://pebble:14000/dir\nRENEW_SECONDS=2\n")
    server.ops("deploy", one)
    return server


@pytest.fixture(scope="module")
def placeholder(site):
    """The certificate that users meet before there is a real one."""
    return certificate(site)


@pytest.fixture(scope="module")
def load(site):
    """A light load, from before the first certificate to the end."""
    with Load(site.https, HOST, site.token(), keeping=3, fresh=2, rate=10) as load:
        yield load


@pytest.fixture(scope="module")
def authority(site, tmp_path_factory):
    """An ACME server whose certificates live for a minute."""
    made = Authority(site, HOSTS, tmp_path_factory.mktemp("acme"), LIFETIME)
    try:
        made.start()
        yield made
    finally:
        made.destroy()


@pytest.fixture(scope="module")
def obtained(site, placeholder, load, authority):  # noqa: ARG001 - in this order
    """What `python3 -m ops certificates` printed."""
    return site.ops("certificates").stdout


def known(server):
    """Return what the status tells of the certificate."""
    return server.status()["certificate"]


def leads_to(server):
    """Return the pair that nginx is given."""
    return server.compose("exec", "-T", "certbot", "readlink", "/certificates/live").stdout.strip()


def logs(server, service):
    """Return all that a service has logged."""
    done = server.compose("logs", "--no-color", "--no-log-prefix", service)
    return done.stdout + done.stderr


def start(server):
    """Return the moment at which nginx was started."""
    return docker("inspect", "--format={{.State.StartedAt}}", f"{server.name}-nginx-1").stdout


def test_nginx_starts_before_there_is_a_certificate(site, placeholder):
    """A new server serves at once, under a placeholder, and says that it is one."""
    assert placeholder
    assert "a self-signed placeholder" in site.ops("status").stdout


def test_the_first_certificate(site, placeholder, obtained):
    """One command gets a certificate for every name, and ends when users meet it."""
    assert certificate(site) != placeholder
    assert set(known(site)["names"]) == set(HOSTS)
    assert "Pebble" in known(site)["issuer"]
    assert "days left, by" in obtained


@later
def test_it_is_ecdsa(site):
    """Its key is an elliptic curve's, as small and quick as users' devices like it."""
    chain = ssl.DER_cert_to_PEM_cert(certificate(site))
    text = site.compose("exec", "-T", "nginx", "sh", "-c", 'echo "$0" | openssl x509 -noout -text', chain).stdout
    assert "id-ecPublicKey" in text
    assert "prime256v1" in text


@later
def test_a_renewal_by_itself(site):
    """Before it ends it is renewed, and users meet the new one without any command, restart or failed request."""
    before, started, pair = certificate(site), start(site), leads_to(site)
    wait_for(lambda: leads_to(site) != pair, seconds=LIFETIME + 30, pause=0.5)
    wait_for(lambda: certificate(site) != before, seconds=60, pause=0.5)
    assert start(site) == started


@later
def test_a_renewal_that_fails_is_loud(site, authority):
    """With the authority away the old one goes on; the status, the log, the metric and the health say that it fails."""
    authority.leave()
    try:
        found = wait_for(lambda: known(site)["error"] and known(site), seconds=LIFETIME + 30, pause=1)
        assert found["failing_since"]
        assert "IT FAILS since" in site.ops("status").stdout
        assert '"level": "ERROR", "logger": "certificates"' in logs(site, "certbot")
        assert "\ncertificate_renewal_failing 1\n" in metrics(site)
        assert not site.is_well("certbot")
        assert site.ask("/health").status == 200
        failed = site.ops("certificates", "--force", check=False)
        assert failed.returncode == 1
        assert "pebble" in failed.stdout
    finally:
        authority.come_back()


@later
def test_it_recovers_by_itself(site):
    """When the authority answers again, the next attempt renews, and all is quiet."""
    before = certificate(site)
    wait_for(lambda: not known(site)["error"], seconds=60, pause=1)
    wait_for(lambda: certificate(site) != before, seconds=60, pause=1)
    assert "\ncertificate_renewal_failing 0\n" in metrics(site)


BAD = "mkdir -p bad && echo nonsense >bad/fullchain.pem && echo nonsense >bad/privkey.pem && ln -sfn bad live"


@later
def test_what_is_no_certificate_is_not_taken_up(site):
    """What somebody puts there and is no certificate is refused: nginx says so, and goes on with what it has."""
    site.compose("stop", "certbot")
    before, real = certificate(site), (site.folder / "certificates/live").readlink()
    try:
        place(site, BAD)
        wait_for(lambda: "for it refuses the one in" in logs(site, "nginx"), seconds=30, pause=0.5)
        assert certificate(site) == before
    finally:
        place(site, f"ln -sfn {real} live; rm -r bad")
        site.compose("start", "certbot")


@later
def test_what_is_no_certificate_is_put_right(site):
    """While certbot is at work, a real one is in its place again before nginx would have to do without."""
    place(site, BAD)
    try:
        wait_for(lambda: leads_to(site) != "bad", seconds=60, pause=0.5)
    finally:
        place(site, "rm -r bad")
    wait_for(lambda: not known(site)["error"], seconds=60, pause=1)
    assert site.ask("/health").status == 200


def place(server, script):
    """Change what lies in the server's certificates, as its owner."""
    folder = f"--volume={server.folder}/certificates:/given"
    docker("run", "--rm", "--network=none", "--user=101", folder, "--workdir=/given", "nginx:1.30", "sh", "-c", script)


@later
def test_no_request_failed(load, figure):
    """From the placeholder through every renewal, not one request failed or waited long."""
    figure(f"certificates: {load.report}")
    assert load.report.total > MANY
    assert load.report.failures == []
    assert load.report.slowest < SLOWEST


@later
def test_the_challenge_is_answered_in_the_clear(site):
    """What an authority asks for is looked for on port 80, where all else leads to HTTPS."""
    assert ask(site.http, "/.well-known/acme-challenge/none", headers={"Host": HOST}).status == 404
    assert ask(site.http, "/.well-known/none", headers={"Host": HOST}).status == 308


@later
def test_keys_are_nginxs_alone(site):
    """Each private key is readable for nginx' user and nobody else."""
    keys = site.compose(
        "exec", "-T", "certbot", "find", "/certificates", "-name", "privkey*.pem", "-type", "f"
    ).stdout.split()
    modes = site.compose("exec", "-T", "certbot", "stat", "-c", "%a %u", *keys).stdout.splitlines()
    assert set(modes) == {"600 101"}


def metrics(server):
    """Return what Prometheus reads of certificates, as another container in the network does."""
    words = ("exec", "-T", "certbot", "python3", "-c")
    script = "import urllib.request as u; print(u.urlopen('http://nginx:8004/metrics/certificates').read().decode())"
    return server.compose(*words, script).stdout
