"""testssl.sh rates the edge A+ with no finding above LOW."""

import json
import socket
import ssl

import pytest

from tests.support.helpers import wait_for
from tests.support.stack.compose import docker
from tests.support.stack.server import HOST
from tests.support.stack.tool import address, run_tool

HARMLESS = {"OK", "INFO", "LOW", "DEBUG"}
EXCEPTIONS = {
    "engine_problem",  # about testssl.sh's own OpenSSL
    "sessionresumption_ticket",  # testssl.sh disconnects before TLS 1.3's ticket arrives; tested below
}
pytestmark = pytest.mark.timeout(400)

# The grade needs a trusted certificate: a test authority and a certificate like a public one's.
AUTHORITY = f"""
set -eu
mkdir -p /certificates-volume/own && cd /certificates-volume/own
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
    """Nginx with the final HSTS value."""
    return new_edge(HSTS="'max-age=63072000; includeSubDomains'")


@pytest.fixture(scope="module")
def authority(edge, tmp_path_factory):
    """The file of the authority that signed nginx's certificate."""
    folder = tmp_path_factory.mktemp("testssl")
    folder.chmod(0o777)
    authority = folder / "authority.pem"
    authority.write_text(install_certificate(edge))
    wait_for(lambda: is_trusted(edge, authority), seconds=60)
    return authority


@pytest.fixture(scope="module")
def findings(edge, authority, tools):
    """testssl.sh's findings, with a certificate that it trusts."""
    folder = authority.parent
    options = ("--jsonfile=/out/findings.json", "--add-ca=/out/authority.pem", f"--ip={address(edge)}")
    arguments = ("testssl", "--quiet", "--warnings=batch", "--color=0", *options, f"{HOST}:8443")
    run_tool(edge, tools, *arguments, options=[f"--volume={folder}:/out"], timeout=300)
    return {each["id"]: each for each in json.loads((folder / "findings.json").read_text())}


def install_certificate(edge):
    """Install an own certificate as docs/certificates.md describes; return the authority's."""
    arguments = (
        "--network=none",
        "--user=0:0",
        f"--volume={edge.folder}/certificates:/certificates-volume",
        "--entrypoint=sh",
    )
    return docker("run", "--rm", *arguments, "nginx:1.30", "-c", AUTHORITY).stdout


def is_trusted(edge, authority):
    """Whether a client with this authority trusts nginx's certificate."""
    try:
        connect(edge, ssl.create_default_context(cafile=str(authority)))
    except ssl.SSLError:
        return False
    return True


def connect(edge, context, session=None):
    """Send a request on a new connection; return its session and whether SESSION was resumed."""
    plain = socket.create_connection(("127.0.0.1", edge.https), 5)
    with plain, context.wrap_socket(plain, server_hostname=HOST, session=session) as connection:
        connection.sendall(f"GET / HTTP/1.1\r\nHost: {HOST}\r\nConnection: close\r\n\r\n".encode())
        while connection.recv(65536):
            pass
        return connection.session, connection.session_reused


@pytest.mark.guarantee("testssl.sh rates TLS A+ and finds nothing above LOW")
def test_the_grade_is_a_plus(findings, figure):
    """testssl.sh's overall grade is A+."""
    figure(f"testssl.sh: {findings['overall_grade']['finding']}, score {findings['final_score']['finding']}")
    assert findings["overall_grade"]["finding"] == "A+"


@pytest.mark.guarantee("testssl.sh rates TLS A+ and finds nothing above LOW")
def test_no_finding_is_above_low(findings):
    """No finding of testssl.sh is above LOW, and every check ran."""
    assert len(findings) > 100
    worse = {name: each["finding"] for name, each in findings.items() if each["severity"] not in HARMLESS}
    assert {name: finding for name, finding in worse.items() if name not in EXCEPTIONS} == {}


def test_only_tls_1_2_and_1_3(findings):
    """Only TLS 1.2 and 1.3 are offered."""
    offered = {name: findings[name]["finding"].startswith("offered") for name in ("SSLv2", "SSLv3", "TLS1", "TLS1_1")}
    assert not any(offered.values()), offered
    assert findings["TLS1_2"]["finding"].startswith("offered")
    assert findings["TLS1_3"]["finding"].startswith("offered")


def test_post_quantum_key_exchange(findings):
    """X25519MLKEM768 is offered."""
    assert "X25519MLKEM768" in json.dumps(findings)


@pytest.mark.parametrize("version", ["TLSv1_2", "TLSv1_3"])
def test_sessions_are_resumed(edge, authority, version):
    """A returning client resumes its session."""
    context = ssl.create_default_context(cafile=str(authority))
    context.minimum_version = context.maximum_version = ssl.TLSVersion[version]
    session, _ = connect(edge, context)
    assert connect(edge, context, session)[1]
