"""`certificates`: gets one, waits until users meet it, and says how it stands."""

import base64
import json
import time

import pytest

from ops import certificates, cli, edge, init
from ops.errors import Failure, Refusal
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
def site(shop, monkeypatch):
    """A server with a placeholder, whose certbot gets a certificate, and whose nginx takes it up."""
    live = shop.folder / "certificates" / "live"
    live.mkdir(parents=True)
    (live / "fullchain.pem").write_text(pem(OLD) + pem(b"its issuer's"), encoding="ascii")

    def care(words):
        assert words[0] == "certbot"
        (live / "fullchain.pem").write_text(pem(NEW) + pem(b"its issuer's"), encoding="ascii")
        (live.parent / "status.json").write_text(status(), encoding="utf-8")

    shop.server.care = care
    met = iter([OLD, OLD, *[NEW] * 10])
    monkeypatch.setattr(edge, "certificate_outside", lambda _site: next(met))
    return shop.site()


def test_obtained(shop, site, capsys):
    """Nginx and certbot run, a certificate is asked for, and it ends when users meet it, with the days that it has."""
    certificates.certificates(site, force=False)
    starts = [done.split()[-1] for done in shop.server.done if " up " in done]
    assert starts == ["nginx", "certbot"]
    assert "certificate: shop.example, 30.0 days left, by CN=Authority" in capsys.readouterr().out


@pytest.mark.parametrize("force", [True, False])
def test_force(shop, site, force):
    """One that is still good is renewed when that is asked for only."""
    certificates.certificates(site, force=force)
    assert any(done.endswith("care.py obtain --force") for done in shop.server.done) == force


def test_refused(shop, site):
    """Where the authority refuses, the command fails with what it said."""
    shop.server.fail = lambda words: (_ for _ in ()).throw(Failure("DNS problem")) if "obtain" in words else None
    with pytest.raises(Failure, match="DNS problem"):
        certificates.certificates(site, force=False)


def test_not_taken_up(site, monkeypatch):
    """It does not say that all is well while users meet another certificate."""
    monkeypatch.setattr(edge, "certificate_outside", lambda _site: OLD)
    with pytest.raises(Failure, match=r"do not meet the new certificate within 60 s\. Last seen: another certificate"):
        certificates.certificates(site, force=False)


def test_failing(shop, site):
    """A renewal that fails is said as loudly as text can, with since when and why."""
    (shop.folder / "certificates/status.json").write_text(
        status(error="DNS problem:\n  no such name", failing_since="2026-11-01T00:00:00Z"), encoding="utf-8"
    )
    said = certificates.text(certificates.look(site))
    assert "IT FAILS since 2026-11-01T00:00:00Z: DNS problem: no such name" in said


def test_placeholder(shop, site):
    """A placeholder is called one."""
    (shop.folder / "certificates/status.json").write_text(status(placeholder=True), encoding="utf-8")
    assert "a self-signed placeholder" in certificates.text(certificates.look(site))


def test_nobody_at_work(shop, site):
    """Where nobody has looked for two rounds, that is said too: a certificate would end unseen."""
    (shop.folder / "certificates/status.json").write_text(status(checked="2026-01-01T00:00:00Z"), encoding="utf-8")
    assert "NOBODY HAS LOOKED AT IT since 2026-01-01T00:00:00Z" in certificates.text(certificates.look(site))


@pytest.mark.parametrize("text", ["", "{", "{}", '{"checked": "yesterday"}'])
def test_cut_short(shop, site, text):
    """What was cut short does not take the whole status with it."""
    (shop.folder / "certificates/status.json").write_text(text, encoding="utf-8")
    assert "nothing is known" in certificates.text(certificates.look(site))


def test_other_names(shop, site):
    """Where nginx was started for other names, it is refused before an authority is asked, with what to do."""
    shop.server.hashes["nginx"] = "2"
    with pytest.raises(Refusal, match="docker compose up --detach --no-deps nginx"):
        certificates.certificates(site, force=False)
    assert not any("obtain" in done for done in shop.server.done)


def test_mail_beside_settings(new_shop):
    """An address that the settings do not have is not dropped in silence."""
    with pytest.raises(Refusal, match=r"Add the line ACME_EMAIL=me@shop\.example"):
        init.write_settings(new_shop.site(), ["shop.example"], "me@shop.example")


def test_nothing_known(site):
    """Before anything was written down, that is said."""
    assert certificates.text(certificates.look(site)) == "certificate: nothing is known of it yet"


@pytest.mark.parametrize("words", [["certificates"], ["certificates", "--force"]])
def test_command(shop, monkeypatch, words):
    """It is a command."""
    asked = []
    monkeypatch.chdir(shop.folder)
    monkeypatch.setattr(cli, "Runner", lambda dry: FakeRunner(dry=dry, server=shop.server))
    monkeypatch.setattr(certificates, "certificates", lambda _site, force: asked.append(force))
    assert cli.main(words) == 0
    assert asked == ["--force" in words]


def test_mail():
    """An address to write to becomes a setting."""
    assert "ACME_EMAIL=me@shop.example" in init.settings("shop", ["shop.example"], "me@shop.example").splitlines()


@pytest.mark.parametrize("email", ["me", "me@shop", "a@b.c\nX=1", "a=b@c.d"])
def test_bad_mail(new_shop, email):
    """What is no address is refused before it gets into a file of settings."""
    (new_shop.folder / ".env").unlink()
    with pytest.raises(Refusal, match="--email"):
        init.write_settings(new_shop.site(), ["shop.example"], email)
    assert not (new_shop.folder / ".env").exists()
