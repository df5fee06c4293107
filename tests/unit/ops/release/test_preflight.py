"""The preflight step, and the installation of a bundle."""

import shutil
from types import SimpleNamespace

import pytest

from ops.errors import PreconditionError
from ops.release import preflight
from ops.release.bundle import MOUNTED, bundle_of, find, install
from ops.server import FILE, disk, drift
from tests.support.helpers import ROOT
from tests.support.ops.faults import failing

SIDECARS = " up --detach --no-deps certbot wal-receiver backup restore-drill"


def test_success(shop):
    """On a healthy server there are no warnings, and the stateful services are started."""
    assert preflight.prepare(shop.server()) == ""
    assert [done.split()[-1] for done in shop.docker.executed if " up " in done] == ["nginx"]


def test_roles(shop):
    """A failed update of the database's roles is a warning."""
    shop.docker.fail = failing("roles.sh")
    assert preflight.prepare(shop.server()).startswith("the database's roles are not up to date: ")


def test_pgbouncer(shop):
    """PgBouncer starts with the stateful services if its profile is enabled."""
    shop.docker.optional = {"pgbouncer": {}}
    preflight.prepare(shop.server())
    started = next(done for done in shop.docker.executed if " up " in done)
    assert started.endswith(" pgbouncer db redis-cache redis-sessions nginx")


def test_missing_secrets(shop):
    """The error names all missing secrets before anything starts."""
    shutil.rmtree(shop.folder / "secrets")
    with pytest.raises(PreconditionError, match=r"secrets/cache_acl, secrets/secret_key\. Create them"):
        preflight.prepare(shop.server())
    assert not any(" up " in done for done in shop.docker.executed)


def test_full_disk(shop, monkeypatch):
    """A full disk is refused with its free space and folder."""
    monkeypatch.setattr(disk, "FREE_BYTES", 2**80)
    with pytest.raises(PreconditionError, match=rf"Only \d+\.\d GiB are free at {shop.folder}"):
        disk.require_free(shop.server())


def test_full_disk_of_docker(shop, monkeypatch, tmp_path):
    """Docker's disk counts too."""
    free = {shop.folder: 100 * 2**30, tmp_path: 2**30}
    monkeypatch.setattr(disk, "FREE_BYTES", 2 * 2**30)
    monkeypatch.setattr(shutil, "disk_usage", lambda path: SimpleNamespace(free=free[path]))
    shop.docker.root = str(tmp_path)
    with pytest.raises(PreconditionError, match=rf"Only 1\.0 GiB are free at {tmp_path}, "):
        disk.require_free(shop.server())


def test_changed_definition(shop):
    """A stateful service with a changed definition is reported, not recreated."""
    shop.docker.hashes["db"] = "2"
    assert drift.changed_services(shop.server()) == ["db"]
    assert "--no-deps db" in preflight.prepare(shop.server())


@pytest.mark.parametrize("name", ["web-blue", "migrate"])
def test_recreated_services(shop, name):
    """Colours and migrations are recreated by each deploy, so they are not reported."""
    shop.docker.made_from[name] = "0"
    assert drift.changed_services(shop.server()) == []


def test_not_running(shop):
    """A service without a container is not reported."""
    del shop.docker.made_from["db"]
    assert drift.changed_services(shop.server()) == []


def test_install(shop):
    """Installing a bundle removes old files and copies no compiled ones."""
    (shop.folder / "ops/old.py").write_text("", encoding="utf-8")
    second = shop.fetched("second")
    bundle = bundle_of(shop.server(), second.name)
    (bundle / "ops/__pycache__").mkdir()
    install(shop.server(), find(shop.server(), second.name))
    assert [path.name for path in (shop.folder / "ops").iterdir()] == ["__main__.py"]
    assert not list(shop.folder.glob("*.new"))


def test_sidecars(shop):
    """Installing a bundle starts the sidecars; a failure is a warning."""
    found = find(shop.server(), shop.fetched("second").name)
    assert install(shop.server(), found) == ""
    assert any(
        done.endswith(" up --detach --no-deps certbot wal-receiver backup restore-drill")
        for done in shop.docker.executed
    )
    shop.docker.fail = failing(" certbot")
    assert install(shop.server(), found).startswith("a sidecar failed: ")


def test_monitoring(shop):
    """Monitoring services start by a separate command, so that backups do not wait for them."""
    shop.docker.optional = {"prometheus": {}, "grafana": {}}
    found = find(shop.server(), shop.fetched("second").name)
    shop.docker.fail = failing("grafana")
    assert "grafana" in install(shop.server(), found)
    assert any(
        done.endswith(" up --detach --no-deps certbot wal-receiver backup restore-drill")
        for done in shop.docker.executed
    )
    shop.docker.fail = lambda _words: None
    install(shop.server(), found)
    assert any(done.endswith(" up --detach --no-deps prometheus grafana") for done in shop.docker.executed)


def test_changed_monitoring(shop):
    """Monitoring services are recreated by each deploy, so they are not reported."""
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
def test_changed_sidecar(shop, name, services):
    """Sidecars restart if their files have changed, and only then."""
    shop.docker.optional = {"prometheus": {}}
    found = find(shop.server(), shop.fetched("first").name)
    install(shop.server(), found)
    assert not any(" restart " in done for done in shop.docker.executed)
    (found.bundle / name).write_text("changed", encoding="utf-8")
    install(shop.server(), found)
    assert [done.partition(" restart ")[2] for done in shop.docker.executed if " restart " in done] == [services]


def test_older_bundle(shop):
    """Folders that an older bundle lacks stay unchanged."""
    second = shop.fetched("second")
    shutil.rmtree(bundle_of(shop.server(), second.name) / "deploy/pgbouncer")
    assert install(shop.server(), find(shop.server(), second.name)) == ""
    assert (shop.folder / "deploy/pgbouncer/start.sh").read_text(encoding="utf-8") == "first"


def test_bundle_of_the_image():
    """The image's bundle has every folder that is installed from it."""
    text = (ROOT / "Dockerfile").read_text(encoding="utf-8")
    assert all(f"COPY {name} bundle/{name}" in text for name in ("nginx", "ops", *MOUNTED))
    assert f"COPY {FILE} bundle/" in text
