"""What testssl.sh finds at the edge: the best grade, and nothing above LOW."""

import json
import socket
import ssl

import pytest

from tests.support.helpers import wait_for
from tests.support.stack.compose import docker
from tests.support.stack.server import HOST
from tests.support.stack.tool import address, beside

HARMLESS = {"OK", "INFO", "LOW", "DEBUG"}
ITS_OWN = {
    "engine_problem",  # what testssl.sh says of the OpenSSL that it uses itself
    "sessionresumption_ticket",  # it hangs up before the ticket of TLS 1.3 is there, unless it is lucky: tried below
}
pytestmark = pytest.mark.timeout(400)

# An authority of the test's own, and a certificate as a public one would make it: the grade wants one that is trusted.
AUTHORITY = f"""
set -eu
mkdir -p /given/own && cd /given/own
curve='-nodes -newkey ec -pkeyopt ec_paramgen_curve:P-256'
openssl req -x509 $curve -days 3650 -subj '/CN=Test authority' -addext keyUsage=critical,keyCertSign,cRLSign \
  -keyout authority.key -out authority.pem
openssl req $curve -subj /CN={HOST} -keyout privkey.pem -out request.pem
printf '%s\\n' subjectAltName=DNS:{HOST} basicConstraints=critical,CA:FALSE keyUsage=critical,digitalSignature \
  extendedKeyUsage=serverAuth authorityKeyIdentifier=keyid subjectKeyIdentifier=hash \
  crlDistributionPoints=URI:http://authority.invalid/list.crl >extensions
openssl x509 -req -in request.pem -CA authority.pem -CAkey authority.key -days 89 -extfile extensions -out one.pem
cat one.pem authority.pem >fullchain.pem
chown -R 101:101 .
ln -sfn own ../live
cat authority.pem
"""


@pytest.fixture(scope="module")
def edge(new_edge):
    """An edge with HSTS as it is in the end."""
    return new_edge(HSTS="'max-age=63072000; includeSubDomains'")


@pytest.fixture(scope="module")
def authority(edge, tmp_path_factory):
    """Who vouches for the edge's certificate; a file that a client can be given."""
    folder = tmp_path_factory.mktemp("testssl")
    folder.chmod(0o777)
    authority = folder / "authority.pem"
    authority.write_text(own_certificate(edge))
    wait_for(lambda: trusted(edge, authority), seconds=60)
    return authority


@pytest.fixture(scope="module")
def found(edge, authority, tools):
    """Let testssl.sh look, with a certificate that it can trust; return the findings."""
    folder = authority.parent
    options = ("--jsonfile=/out/found.json", "--add-ca=/out/authority.pem", f"--ip={address(edge)}")
    words = ("testssl", "--quiet", "--warnings=batch", "--color=0", *options, f"{HOST}:8443")
    beside(edge, tools, *words, options=[f"--volume={folder}:/out"], timeout=300)
    return {each["id"]: each for each in json.loads((folder / "found.json").read_text())}


def own_certificate(edge):
    """Give the server a certificate of one's own, as docs/certificates.md says; return the authority's."""
    words = ("--network=none", "--user=0:0", f"--volume={edge.folder}/certificates:/given", "--entrypoint=sh")
    return docker("run", "--rm", *words, "nginx:1.30", "-c", AUTHORITY).stdout


def trusted(edge, authority):
    """Whether users of this authority trust what Nginx shows."""
    try:
        visit(edge, ssl.create_default_context(cafile=str(authority)))
    except ssl.SSLError:
        return False
    return True


def visit(edge, context, session=None):
    """Ask by a new connection; return its session, which is whole once it was answered, and whether it was SESSION."""
    plain = socket.create_connection(("127.0.0.1", edge.https), 5)
    with plain, context.wrap_socket(plain, server_hostname=HOST, session=session) as connection:
        connection.sendall(f"GET / HTTP/1.1\r\nHost: {HOST}\r\nConnection: close\r\n\r\n".encode())
        while connection.recv(65536):
            pass
        return connection.session, connection.session_reused


def test_the_grade_is_the_best(found, figure):
    """The overall grade is A+."""
    figure(f"testssl.sh: {found['overall_grade']['finding']}, score {found['final_score']['finding']}")
    assert found["overall_grade"]["finding"] == "A+"


def test_nothing_is_worse_than_low(found):
    """Of all that testssl.sh looks at, nothing is above LOW, and nothing could not be looked at."""
    assert len(found) > 100
    worse = {name: each["finding"] for name, each in found.items() if each["severity"] not in HARMLESS}
    assert {name: finding for name, finding in worse.items() if name not in ITS_OWN} == {}


def test_tls_1_3_and_1_2_alone(found):
    """TLS 1.3 and 1.2 are offered, and nothing before."""
    offered = {name: found[name]["finding"].startswith("offered") for name in ("SSLv2", "SSLv3", "TLS1", "TLS1_1")}
    assert not any(offered.values()), offered
    assert found["TLS1_2"]["finding"].startswith("offered")
    assert found["TLS1_3"]["finding"].startswith("offered")


def test_the_first_key_exchange_holds_against_a_quantum_computer(found):
    """X25519MLKEM768 is offered."""
    assert "X25519MLKEM768" in json.dumps(found)


@pytest.mark.parametrize("version", ["TLSv1_2", "TLSv1_3"])
def test_who_comes_back_is_known_again(edge, authority, version):
    """A client that comes back goes on with its session, which spares both a handshake's signature."""
    context = ssl.create_default_context(cafile=str(authority))
    context.minimum_version = context.maximum_version = ssl.TLSVersion[version]
    session, _ = visit(edge, context)
    assert visit(edge, context, session)[1]
