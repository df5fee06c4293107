"""kill -9 during a command: the next command finishes or undoes it, and no request is lost."""

from contextlib import suppress

import pytest

from ops import files
from ops.release.bundle import bundle_of
from ops.release.pipeline import COMMANDS, is_verified
from tests.support.ops.faults import CommandError, Killed, failing

STEPS = [name for name in COMMANDS["deploy"] if name != "canary"]
BEFORE = [name for name in STEPS if not is_verified(name)]
VERIFIED = [name for name in STEPS if is_verified(name)]
ENDS = ("ok", "failed", "interrupted")


def killed(shop, command, *arguments):
    """Run a command that is killed."""
    with pytest.raises(Killed):
        command(*arguments)
    shop.docker.fail = shop.docker.after = lambda _words: None


class KillAt:
    """Kills the process at the nth Docker command, counted from 0."""

    def __init__(self, place):
        self.left = place

    def __call__(self, _words):
        """Count down, then kill."""
        self.left -= 1
        if self.left < 0:
            raise Killed


@pytest.mark.parametrize("step", BEFORE)
def test_before_verification(shop, at_step, step):
    """After a kill before verification, the old release has all traffic and the history says interrupted."""
    at_step(step, Killed())
    killed(shop, shop.deploy, shop.fetched("second"))
    shop.recover()
    assert (shop.active_release, shop.running, shop.docker.lost) == ("first", ["first"], [])
    assert shop.history[1:] == [("deploy", "second", "interrupted")]


@pytest.mark.parametrize("step", VERIFIED)
def test_after_verification(shop, at_step, step):
    """After a kill past verification, the new release has all traffic and is recorded once."""
    at_step(step, Killed())
    killed(shop, shop.deploy, shop.fetched("second"))
    shop.recover()
    assert (shop.active_release, shop.running, shop.docker.lost) == ("second", ["second"], [])
    assert shop.history[1:] == [("deploy", "second", "ok")]


@pytest.mark.parametrize("step", VERIFIED)
def test_bundle(shop, at_step, step):
    """After a kill past verification, recovery installs the new release's bundle."""
    at_step(step, Killed())
    killed(shop, shop.deploy, shop.fetched("second"))
    shop.recover()
    names = ("docker-compose.prod.yml", "ops/__main__.py", "nginx/production.conf")
    assert {(shop.folder / name).read_text(encoding="utf-8") for name in names} == {"second"}


@pytest.mark.parametrize("step", [*BEFORE, *VERIFIED])
def test_the_next_deploy(shop, at_step, step):
    """After a kill at any step, the next deploy succeeds."""
    at_step(step, Killed())
    killed(shop, shop.deploy, shop.fetched("second"))
    shop.deploy(shop.fetched("third"))
    assert (shop.active_release, shop.running, shop.docker.lost) == ("third", ["third"], [])


@pytest.mark.parametrize("step", BEFORE[3:])
def test_the_first_deploy(new_shop, at_step, step):
    """After a kill of the first deploy, the next one succeeds."""
    at_step(step, Killed())
    killed(new_shop, new_shop.deploy, new_shop.fetched("first"))
    new_shop.deploy(new_shop.fetched("second"))
    assert (new_shop.active_release, new_shop.running) == ("second", ["second"])


def is_consistent(shop):
    """Whether one release has all traffic, nothing else runs, and the history says so once."""
    results = [result for _, _, result in shop.history if result in ENDS]
    expected = "second" if results[1:] == ["ok"] else "first"
    found = (shop.active_release, shop.running, shop.docker.lost, shop.journal)
    return found == (expected, [expected], [], None) and len(results) <= 2


@pytest.mark.guarantee("A deploy killed at any step leaves users on a working release, and the next deploy recovers")
@pytest.mark.parametrize("hook", ["fail", "after"])
def test_at_every_command(make_shop, hook):
    """After a kill before or after any Docker command, one release has all traffic and is the recorded one."""
    whole = make_shop("whole")
    whole.deploy(whole.fetched("second"))
    for place in range(len(whole.docker.executed)):
        shop = make_shop(f"shop{place}")
        setattr(shop.docker, hook, KillAt(place))
        killed(shop, shop.deploy, shop.fetched("second"))
        shop.recover()
        assert is_consistent(shop), f"killed at {place}: {whole.docker.executed[place]}"


@pytest.mark.parametrize("step", ["ready", "verify", "drain"])
def test_during_recovery(make_shop, at_step, step):
    """After a kill at any command of the recovery, the next recovery succeeds."""
    for place in range(99):
        shop = make_shop(f"shop{place}")
        at_step(step, Killed())
        killed(shop, shop.deploy, shop.fetched("second"))
        before = len(shop.docker.executed)
        shop.docker.fail = KillAt(place)
        with suppress(Killed):
            shop.recover()
        shop.docker.fail = lambda _words: None
        if len(shop.docker.executed) - before < place:
            break  # the recovery has fewer commands
        shop.recover()
        assert is_consistent(shop), f"killed at {place}"
    assert place > 5


@pytest.mark.parametrize("place", range(8))
def test_installing_the_bundle(shop, monkeypatch, place):
    """After a kill during the installation, ops is the old or the new version, never a mixture."""
    second, death = shop.fetched("second"), KillAt(place)
    for bundle in (shop.folder, bundle_of(shop.server(), second.name)):
        text = (bundle / "ops/__main__.py").read_text(encoding="utf-8")
        (bundle / "ops/other.py").write_text(text, encoding="utf-8")
    for name in ("copy", "_exchange"):
        monkeypatch.setattr(files, name, killing(death, getattr(files, name), shop.folder / "ops"))
    with suppress(Killed):
        shop.deploy(second)
    found = {path.name: path.read_text(encoding="utf-8") for path in (shop.folder / "ops").iterdir()}
    assert found.keys() == {"__main__.py", "other.py"}
    assert len(set(found.values())) == 1


def killing(death, real, folder):
    """Return a function that may kill before and after its work on a folder or its replacement."""

    def work(source, target):
        ours = str(target).startswith(str(folder))
        if ours:
            death(target)
        done = real(source, target)
        if ours:
            death(target)
        return done

    return work


def test_exiting_one_off(shop):
    """Recovery waits for a one-off container that Docker is removing itself."""
    shop.docker.one_offs.append("shop-migrate-run-1")
    shop.docker.fail = failing("docker rm")
    shop.recover()
    assert shop.docker.one_offs == []


def test_invalid_nginx_configuration(shop, at_step):
    """Recovery restores the old nginx configuration before it starts nginx."""
    at_step("verify", Killed())
    killed(shop, shop.deploy, shop.fetched("second"))
    (shop.folder / "nginx/production.conf").write_text("half of it", encoding="utf-8")

    def start(argv):
        current = (shop.folder / "nginx/production.conf").read_text(encoding="utf-8")
        if argv[-1] == "nginx" and current != "first":
            raise CommandError("nginx exited (1)")

    shop.docker.fail = start
    shop.recover()
    assert (shop.active_release, shop.running) == ("first", ["first"])


def test_one_off_containers(shop):
    """Recovery removes the container of a killed migration."""
    shop.docker.one_offs.append("shop-migrate-run-1")
    shop.recover()
    assert shop.docker.one_offs == []


def test_stopped_nginx(shop, at_step):
    """Recovery starts nginx first, such as after a reboot."""
    at_step("ready", Killed())
    killed(shop, shop.deploy, shop.fetched("second"))
    shop.docker.executed.clear()
    shop.recover()
    first = next(done for done in shop.docker.executed if done.endswith(" nginx") or "docker exec" in done)
    assert " up " in first


def test_nothing_to_recover(shop):
    """Without an interrupted command, recovery changes nothing."""
    shop.recover()
    assert [done for done in shop.docker.executed if "docker ps" not in done and "config --format" not in done] == []


def test_canary(shop, at_step):
    """After a kill during a canary, the old release has all traffic."""
    at_step("canary", Killed())
    killed(shop, shop.canary, shop.fetched("second"))
    shop.recover()
    assert (shop.active_release, shop.running, shop.docker.lost) == ("first", ["first"], [])


@pytest.mark.parametrize(("step", "active"), [("ready", "first"), ("switch", "first"), ("drain", "second")])
def test_promote(shop, at_step, step, active):
    """After a kill of a promotion, one release has all traffic; which one depends on verification."""
    shop.canary(shop.fetched("second"))
    at_step(step, Killed())
    killed(shop, shop.promote)
    shop.recover()
    assert (shop.active_release, shop.running, shop.docker.lost) == (active, [active], [])


def test_abort(shop, at_step):
    """After a kill of an abort, the old release has all traffic, and its files stay in the server's folder."""
    shop.canary(shop.fetched("second"))
    at_step("abort", Killed())
    killed(shop, shop.abort)
    shop.recover()
    assert (shop.active_release, shop.running, shop.docker.lost) == ("first", ["first"], [])
    assert (shop.folder / "ops/__main__.py").read_text(encoding="utf-8") == "first"
