"""What must be well before a release is begun."""

import shutil
from types import SimpleNamespace

import pytest

from ops.errors import PreconditionError
from ops.release import preflight
from ops.release.bundle import MOUNTED, bundle_of, find, install
from ops.server import FILE, disk, drift
from tests.support.helpers import ROOT
from tests.support.ops.faults import failing


def test_well(shop):
    """Where all is well there is nothing to note; what keeps data and the edge are started."""
    assert preflight.prepare(shop.server()) == ""
    assert [done.split()[-1] for done in shop.docker.done if " up " in done] == ["nginx"]


def test_roles(shop):
    """The database's roles get today's passwords and rights; that they could not is noted, and a release goes on."""
    shop.docker.fail = failing("roles.sh")
    assert preflight.prepare(shop.server()).startswith("the database's roles are not up to date: ")


def test_pgbouncer(shop):
    """Where its profile is on, so that Compose shows it, PgBouncer is started with what keeps data."""
    shop.docker.optional = {"pgbouncer": {}}
    preflight.prepare(shop.server())
    started = next(done for done in shop.docker.done if " up " in done)
    assert started.endswith(" pgbouncer db redis-cache redis-sessions nginx")


def test_missing_secrets(shop):
    """Secrets that are missing are all named, with the remedy, before anything is started."""
    shutil.rmtree(shop.folder / "secrets")
    with pytest.raises(PreconditionError, match=r"secrets/cache_acl, secrets/secret_key\. Create them"):
        preflight.prepare(shop.server())
    assert not any(" up " in done for done in shop.docker.done)


def test_full_disk(shop, monkeypatch):
    """A disk without room is refused, and the message says how much there is, and where."""
    monkeypatch.setattr(disk, "FREE_BYTES", 2**80)
    with pytest.raises(PreconditionError, match=rf"Only \d+\.\d GiB are free at {shop.folder}"):
        disk.require_free(shop.server())


def test_full_disk_of_docker(shop, monkeypatch, tmp_path):
    """The disk on which Docker keeps images and the database counts too."""
    free = {shop.folder: 100 * 2**30, tmp_path: 2**30}
    monkeypatch.setattr(disk, "FREE_BYTES", 2 * 2**30)
    monkeypatch.setattr(shutil, "disk_usage", lambda path: SimpleNamespace(free=free[path]))
    shop.docker.root = str(tmp_path)
    with pytest.raises(PreconditionError, match=rf"Only 1\.0 GiB are free at {tmp_path}, "):
        disk.require_free(shop.server())


def test_changed(shop):
    """A service that runs by an older definition is named: a deploy leaves it alone."""
    shop.docker.hashes["db"] = "2"
    assert drift.changed_services(shop.server()) == ["db"]
    assert "--no-deps db" in preflight.prepare(shop.server())


@pytest.mark.parametrize("name", ["web-blue", "migrate"])
def test_colours_change(shop, name):
    """Colours and migrations are made anew by each deploy, so they are not named."""
    shop.docker.made_from[name] = "0"
    assert drift.changed_services(shop.server()) == []


def test_not_running(shop):
    """A service without a container is not named: it will be made by today's definition."""
    del shop.docker.made_from["db"]
    assert drift.changed_services(shop.server()) == []


def test_install(shop):
    """Installing a bundle leaves nothing of the old one, and no compiled files of the new one."""
    (shop.folder / "ops/old.py").write_text("", encoding="utf-8")
    second = shop.fetched("second")
    bundle = bundle_of(shop.server(), second.name)
    (bundle / "ops/__pycache__").mkdir()
    install(shop.server(), find(shop.server(), second.name))
    assert [path.name for path in (shop.folder / "ops").iterdir()] == ["__main__.py"]
    assert not list(shop.folder.glob("*.new"))


def test_carers(shop):
    """A release that serves starts what cares for certificates and backups; that it could not is noted."""
    found = find(shop.server(), shop.fetched("second").name)
    assert install(shop.server(), found) == ""
    assert any(
        done.endswith(" up --detach --no-deps certbot wal-receiver backup restore-drill") for done in shop.docker.done
    )
    shop.docker.fail = failing(" certbot")
    assert install(shop.server(), found).startswith("a sidecar failed: ")


def test_watchers(shop):
    """Where its profile is on, what watches is started too, by a command of its own: backups do not wait for it."""
    shop.docker.optional = {"prometheus": {}, "grafana": {}}
    found = find(shop.server(), shop.fetched("second").name)
    shop.docker.fail = failing("grafana")
    assert "grafana" in install(shop.server(), found)
    assert any(
        done.endswith(" up --detach --no-deps certbot wal-receiver backup restore-drill") for done in shop.docker.done
    )
    shop.docker.fail = lambda _words: None
    install(shop.server(), found)
    assert any(done.endswith(" up --detach --no-deps prometheus grafana") for done in shop.docker.done)


def test_watchers_change(shop):
    """What watches is made anew by each deploy, so it is not named."""
    shop.docker.optional = {"prometheus": {}}
    shop.docker.hashes["prometheus"], shop.docker.made_from["prometheus"] = "2", "1"
    assert drift.changed_services(shop.server()) == []


@pytest.mark.parametrize(
    ("name", "services"),
    [
        ("deploy/certbot/renew.py", "certbot"),
        ("deploy/backup/schedule.sh", "wal-receiver backup restore-drill"),
        ("deploy/observability/prometheus.yml", "prometheus"),
    ],
)
def test_changed_care(shop, name, services):
    """What runs the files of a folder begins again where they have changed, and only there."""
    shop.docker.optional = {"prometheus": {}}
    found = find(shop.server(), shop.fetched("first").name)
    install(shop.server(), found)
    assert not any(" restart " in done for done in shop.docker.done)
    (found.bundle / name).write_text("changed", encoding="utf-8")
    install(shop.server(), found)
    assert [done.partition(" restart ")[2] for done in shop.docker.done if " restart " in done] == [services]


def test_an_older_bundle(shop):
    """What an older release does not bring yet stays as it is: a rollback to it is not stopped by that."""
    second = shop.fetched("second")
    shutil.rmtree(bundle_of(shop.server(), second.name) / "deploy/pgbouncer")
    assert install(shop.server(), find(shop.server(), second.name)) == ""
    assert (shop.folder / "deploy/pgbouncer/start.sh").read_text(encoding="utf-8") == "first"


def test_the_bundle_is_what_is_installed():
    """The image's bundle has what is installed from it."""
    text = (ROOT / "Dockerfile").read_text(encoding="utf-8")
    assert all(f"COPY {name} bundle/{name}" in text for name in ("nginx", "ops", *MOUNTED))
    assert f"COPY {FILE} bundle/" in text
