"""Tests of `certificates`: it obtains a certificate, waits until nginx serves it, and prints its status."""

import base64
import json
import time

import pytest

from ops.cli import main
from ops.docker import nginx
from ops.errors import OpsError, PreconditionError
from ops.server import certificates, init
from tests.support.ops.fake_docker import FakeRunner

OLD, NEW = b"the placeholder", b"the authority's"


def pem(der):
    """Return a certificate in PEM format."""
    return f"-----BEGIN CERTIFICATE-----\n{base64.b64encode(der).decode()}\n-----END CERTIFICATE-----\n"


def status(**details):
    """Return a status file, as deploy/certbot/status.py writes it."""
    end = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(time.time() + 30 * 86400))
    now = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime())
    known = {"names": ["shop.example"], "issuer": "CN=Authority", "placeholder": False, "not_after": end, "error": ""}
    return json.dumps({**known, "failing_since": None, "checked": now, "interval": 43200, **details})


@pytest.fixture
def server(shop, monkeypatch):
    """Return a server with a placeholder, a certbot that obtains a certificate, and an nginx that reloads it."""
    live = shop.folder / "certificates" / "live"
    live.mkdir(parents=True)
    (live / "fullchain.pem").write_text(pem(OLD) + pem(b"its issuer's"), encoding="ascii")

    def renew(argv):
        assert argv[0] == "certbot"
        (live / "fullchain.pem").write_text(pem(NEW) + pem(b"its issuer's"), encoding="ascii")
        (live.parent / "status.json").write_text(status(), encoding="utf-8")

    shop.docker.renew = renew
    served = iter([OLD, OLD, *[NEW] * 10])
    monkeypatch.setattr(nginx, "get_public_certificate", lambda _server: next(served))
    return shop.server()


def test_obtained(shop, server, capsys):
    """It starts nginx and certbot, obtains a certificate, waits until nginx serves it, and prints the days left."""
    certificates.certificates(server, force=False)
    starts = [done.split()[-1] for done in shop.docker.executed if " up " in done]
    assert starts == ["nginx", "certbot"]
    assert "certificate: shop.example, 30.0 days left, by CN=Authority" in capsys.readouterr().out


@pytest.mark.parametrize("force", [True, False])
def test_force(shop, server, force):
    """--force renews a valid certificate."""
    certificates.certificates(server, force=force)
    assert any(done.endswith("deploy.certbot.renew obtain --force") for done in shop.docker.executed) == force


def test_refused(shop, server):
    """A refusal by the authority fails the command with its message."""
    shop.docker.fail = lambda argv: (_ for _ in ()).throw(OpsError("DNS problem")) if "obtain" in argv else None
    with pytest.raises(OpsError, match="DNS problem"):
        certificates.certificates(server, force=False)


def test_not_served(server, monkeypatch):
    """The command fails while nginx serves another certificate."""
    monkeypatch.setattr(nginx, "get_public_certificate", lambda _server: OLD)
    with pytest.raises(
        OpsError, match=r"does not serve the new certificate within 60 s\. Last seen: another certificate"
    ):
        certificates.certificates(server, force=False)


def test_failing(shop, server):
    """A failing renewal is printed with its time and reason."""
    (shop.folder / "certificates/status.json").write_text(
        status(error="DNS problem:\n  no such name", failing_since="2026-11-01T00:00:00Z"), encoding="utf-8"
    )
    text = certificates.format_status(certificates.read_status(server))
    assert "FAILING since 2026-11-01T00:00:00Z: DNS problem: no such name" in text


def test_placeholder(shop, server):
    """A placeholder is reported as one."""
    (shop.folder / "certificates/status.json").write_text(status(placeholder=True), encoding="utf-8")
    assert "a self-signed placeholder" in certificates.format_status(certificates.read_status(server))


def test_not_checked(shop, server):
    """A status older than two intervals is reported: the certificate could expire unnoticed."""
    (shop.folder / "certificates/status.json").write_text(status(checked="2026-01-01T00:00:00Z"), encoding="utf-8")
    assert "NOT CHECKED since 2026-01-01T00:00:00Z" in certificates.format_status(certificates.read_status(server))


@pytest.mark.parametrize("text", ["", "{", "{}", '{"checked": "yesterday"}'])
def test_truncated_status(shop, server, text):
    """A truncated status file does not break the status."""
    (shop.folder / "certificates/status.json").write_text(text, encoding="utf-8")
    assert "not checked yet" in certificates.format_status(certificates.read_status(server))


def test_other_names(shop, server):
    """An nginx with other host names is refused before a request to the authority, with a remedy."""
    shop.docker.hashes["nginx"] = "2"
    with pytest.raises(PreconditionError, match="docker compose up --detach --no-deps nginx"):
        certificates.certificates(server, force=False)
    assert not any("obtain" in done for done in shop.docker.executed)


def test_email_missing_in_existing_settings(new_shop):
    """An email address that an existing .env lacks is refused, not ignored."""
    with pytest.raises(PreconditionError, match=r"Add the line ACME_EMAIL=me@shop\.example"):
        init.write_settings(new_shop.server(), ["shop.example"], "me@shop.example")


def test_no_status(server):
    """A missing status is reported."""
    assert certificates.format_status(certificates.read_status(server)) == "certificate: not checked yet"


@pytest.mark.parametrize("argv", [["certificates"], ["certificates", "--force"]])
def test_command(shop, monkeypatch, argv):
    """The command line passes --force."""
    calls = []
    monkeypatch.chdir(shop.folder)
    monkeypatch.setattr(main, "Runner", lambda is_dry_run: FakeRunner(is_dry_run, docker=shop.docker))
    monkeypatch.setattr(certificates, "certificates", lambda _server, force: calls.append(force))
    assert main.main(argv) == 0
    assert calls == ["--force" in argv]


def test_email():
    """An email address becomes a setting."""
    assert "ACME_EMAIL=me@shop.example" in init.settings("shop", ["shop.example"], "me@shop.example").splitlines()


@pytest.mark.parametrize("email", ["me", "me@shop", "a@b.c\nX=1", "a=b@c.d"])
def test_invalid_email(new_shop, email):
    """An invalid address is refused before it is written to .env."""
    (new_shop.folder / ".env").unlink()
    with pytest.raises(PreconditionError, match="--email"):
        init.write_settings(new_shop.server(), ["shop.example"], email)
    assert not (new_shop.folder / ".env").exists()
