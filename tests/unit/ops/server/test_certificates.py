"""`certificates`: gets one, waits until users meet it, and says how it stands."""

import base64
import json
import time

import pytest

from ops.cli import main
from ops.docker import nginx
from ops.errors import OpsError, PreconditionError
from ops.server import certificates, init
from tests.support.ops.fake_server import FakeRunner

OLD, NEW = b"the placeholder", b"the authority's"


def pem(der):
    """Return a certificate as a file has it."""
    return f"-----BEGIN CERTIFICATE-----\n{base64.b64encode(der).decode()}\n-----END CERTIFICATE-----\n"


def status(**details):
    """Return what deploy/certbot/care.py writes down."""
    end = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(time.time() + 30 * 86400))
    now = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime())
    known = {"names": ["shop.example"], "issuer": "CN=Authority", "placeholder": False, "not_after": end, "error": ""}
    return json.dumps({**known, "failing_since": None, "checked": now, "every": 43200, **details})


@pytest.fixture
def server(shop, monkeypatch):
    """A server with a placeholder, whose certbot gets a certificate, and whose nginx takes it up."""
    live = shop.folder / "certificates" / "live"
    live.mkdir(parents=True)
    (live / "fullchain.pem").write_text(pem(OLD) + pem(b"its issuer's"), encoding="ascii")

    def care(argv):
        assert argv[0] == "certbot"
        (live / "fullchain.pem").write_text(pem(NEW) + pem(b"its issuer's"), encoding="ascii")
        (live.parent / "status.json").write_text(status(), encoding="utf-8")

    shop.docker.care = care
    met = iter([OLD, OLD, *[NEW] * 10])
    monkeypatch.setattr(nginx, "get_public_certificate", lambda _server: next(met))
    return shop.server()


def test_obtained(shop, server, capsys):
    """Nginx and certbot run, a certificate is asked for, and it ends when users meet it, with the days that it has."""
    certificates.certificates(server, force=False)
    starts = [done.split()[-1] for done in shop.docker.done if " up " in done]
    assert starts == ["nginx", "certbot"]
    assert "certificate: shop.example, 30.0 days left, by CN=Authority" in capsys.readouterr().out


@pytest.mark.parametrize("force", [True, False])
def test_force(shop, server, force):
    """One that is still good is renewed when that is asked for only."""
    certificates.certificates(server, force=force)
    assert any(done.endswith("care.py obtain --force") for done in shop.docker.done) == force


def test_refused(shop, server):
    """Where the authority refuses, the command fails with what it said."""
    shop.docker.fail = lambda argv: (_ for _ in ()).throw(OpsError("DNS problem")) if "obtain" in argv else None
    with pytest.raises(OpsError, match="DNS problem"):
        certificates.certificates(server, force=False)


def test_not_taken_up(server, monkeypatch):
    """It does not say that all is well while users meet another certificate."""
    monkeypatch.setattr(nginx, "get_public_certificate", lambda _server: OLD)
    with pytest.raises(OpsError, match=r"do not meet the new certificate within 60 s\. Last seen: another certificate"):
        certificates.certificates(server, force=False)


def test_failing(shop, server):
    """A renewal that fails is said as loudly as text can, with since when and why."""
    (shop.folder / "certificates/status.json").write_text(
        status(error="DNS problem:\n  no such name", failing_since="2026-11-01T00:00:00Z"), encoding="utf-8"
    )
    said = certificates.text(certificates.look(server))
    assert "IT FAILS since 2026-11-01T00:00:00Z: DNS problem: no such name" in said


def test_placeholder(shop, server):
    """A placeholder is called one."""
    (shop.folder / "certificates/status.json").write_text(status(placeholder=True), encoding="utf-8")
    assert "a self-signed placeholder" in certificates.text(certificates.look(server))


def test_nobody_at_work(shop, server):
    """Where nobody has looked for two rounds, that is said too: a certificate would end unseen."""
    (shop.folder / "certificates/status.json").write_text(status(checked="2026-01-01T00:00:00Z"), encoding="utf-8")
    assert "NOBODY HAS LOOKED AT IT since 2026-01-01T00:00:00Z" in certificates.text(certificates.look(server))


@pytest.mark.parametrize("text", ["", "{", "{}", '{"checked": "yesterday"}'])
def test_cut_short(shop, server, text):
    """What was cut short does not take the whole status with it."""
    (shop.folder / "certificates/status.json").write_text(text, encoding="utf-8")
    assert "nothing is known" in certificates.text(certificates.look(server))


def test_other_names(shop, server):
    """Where nginx was started for other names, it is refused before an authority is asked, with what to do."""
    shop.docker.hashes["nginx"] = "2"
    with pytest.raises(PreconditionError, match="docker compose up --detach --no-deps nginx"):
        certificates.certificates(server, force=False)
    assert not any("obtain" in done for done in shop.docker.done)


def test_mail_beside_settings(new_shop):
    """An address that the settings do not have is not dropped in silence."""
    with pytest.raises(PreconditionError, match=r"Add the line ACME_EMAIL=me@shop\.example"):
        init.write_settings(new_shop.server(), ["shop.example"], "me@shop.example")


def test_nothing_known(server):
    """Before anything was written down, that is said."""
    assert certificates.text(certificates.look(server)) == "certificate: nothing is known of it yet"


@pytest.mark.parametrize("argv", [["certificates"], ["certificates", "--force"]])
def test_command(shop, monkeypatch, argv):
    """It is a command."""
    asked = []
    monkeypatch.chdir(shop.folder)
    monkeypatch.setattr(main, "Runner", lambda dry: FakeRunner(dry=dry, docker=shop.docker))
    monkeypatch.setattr(certificates, "certificates", lambda _server, force: asked.append(force))
    assert main.main(argv) == 0
    assert asked == ["--force" in argv]


def test_mail():
    """An address to write to becomes a setting."""
    assert "ACME_EMAIL=me@shop.example" in init.settings("shop", ["shop.example"], "me@shop.example").splitlines()


@pytest.mark.parametrize("email", ["me", "me@shop", "a@b.c\nX=1", "a=b@c.d"])
def test_bad_mail(new_shop, email):
    """What is no address is refused before it gets into a file of settings."""
    (new_shop.folder / ".env").unlink()
    with pytest.raises(PreconditionError, match="--email"):
        init.write_settings(new_shop.server(), ["shop.example"], email)
    assert not (new_shop.folder / ".env").exists()
