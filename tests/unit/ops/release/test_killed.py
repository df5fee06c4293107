"""kill -9 in the middle: the next command finishes what was begun or takes it back, and no user is lost by that."""

from contextlib import suppress

import pytest

from ops import files
from ops.release import colours
from ops.release.operation import FINISHED
from tests.support.ops.faults import CommandError, Killed, failing

BEFORE = ("check", "migrate", "start", "ready", "smoke", "switch", "verify")
ENDS = ("ok", "failed", "interrupted")


def killed(shop, command, *arguments):
    """Give a command that is killed in its middle."""
    with pytest.raises(Killed):
        command(*arguments)
    shop.docker.fail = shop.docker.after = lambda _words: None


class Death:
    """Kills at a command, counted from 0; it is hooked before or after the commands."""

    def __init__(self, place):
        self.left = place

    def __call__(self, _words):
        """Count, and kill."""
        self.left -= 1
        if self.left < 0:
            raise Killed


@pytest.mark.parametrize("step", BEFORE)
def test_before_it_was_seen_to_serve(shop, at_step, step):
    """Killed before it was seen to serve, the old release serves alone, and the attempt is recorded as interrupted."""
    at_step(step, Killed())
    killed(shop, shop.deploy, shop.fetched("second"))
    shop.mend()
    assert (shop.users_meet, shop.running, shop.docker.lost) == ("first", ["first"], [])
    assert shop.history[1:] == [("deploy", "second", "interrupted")]


@pytest.mark.parametrize("step", FINISHED)
def test_after_it_was_seen_to_serve(shop, at_step, step):
    """Killed after it was seen to serve, the new release serves alone, and is recorded once."""
    at_step(step, Killed())
    killed(shop, shop.deploy, shop.fetched("second"))
    shop.mend()
    assert (shop.users_meet, shop.running, shop.docker.lost) == ("second", ["second"], [])
    assert shop.history[1:] == [("deploy", "second", "ok")]


@pytest.mark.parametrize("step", FINISHED)
def test_bundle(shop, at_step, step):
    """Killed after it was seen to serve, the files in the server's folder become the new release's all the same."""
    at_step(step, Killed())
    killed(shop, shop.deploy, shop.fetched("second"))
    shop.mend()
    names = ("docker-compose.prod.yml", "ops/__main__.py", "nginx/production.conf")
    assert {(shop.folder / name).read_text(encoding="utf-8") for name in names} == {"second"}


@pytest.mark.parametrize("step", [*BEFORE, *FINISHED])
def test_the_next_deploy(shop, at_step, step):
    """Wherever it was killed, the next deploy works."""
    at_step(step, Killed())
    killed(shop, shop.deploy, shop.fetched("second"))
    shop.deploy(shop.fetched("third"))
    assert (shop.users_meet, shop.running, shop.docker.lost) == ("third", ["third"], [])


@pytest.mark.parametrize("step", BEFORE[2:])
def test_the_first_deploy(new_shop, at_step, step):
    """Killed on a new server, where nothing served before, the next deploy works too."""
    at_step(step, Killed())
    killed(new_shop, new_shop.deploy, new_shop.fetched("first"))
    new_shop.deploy(new_shop.fetched("second"))
    assert (new_shop.users_meet, new_shop.running) == ("second", ["second"])


def all_is_well(shop):
    """Tell whether one release has all users, nothing else runs, and the history says so, once."""
    results = [result for _, _, result in shop.history if result in ENDS]
    expected = "second" if results[1:] == ["ok"] else "first"
    found = (shop.users_meet, shop.running, shop.docker.lost, shop.journal)
    return found == (expected, [expected], [], None) and len(results) <= 2


@pytest.mark.parametrize("hook", ["fail", "after"])
def test_at_every_command(make_shop, hook):
    """Killed before or after whichever command, one release has all users, alone, and is the recorded one."""
    whole = make_shop("whole")
    whole.deploy(whole.fetched("second"))
    for place in range(len(whole.docker.done)):
        shop = make_shop(f"shop{place}")
        setattr(shop.docker, hook, Death(place))
        killed(shop, shop.deploy, shop.fetched("second"))
        shop.mend()
        assert all_is_well(shop), f"killed at {place}: {whole.docker.done[place]}"


@pytest.mark.parametrize("step", ["ready", "verify", "drain"])
def test_while_mending(make_shop, at_step, step):
    """Killed again at whichever command of the mending, the one after mends it."""
    for place in range(8):
        shop = make_shop(f"shop{place}")
        at_step(step, Killed())
        killed(shop, shop.deploy, shop.fetched("second"))
        shop.docker.fail = Death(place)
        killed(shop, shop.mend)
        shop.mend()
        assert all_is_well(shop), f"killed at {place}"


@pytest.mark.parametrize("place", range(8))
def test_installing_the_bundle(shop, monkeypatch, place):
    """Killed while the folder's files are renewed, its ops is the old one or the new one, not some of each."""
    second, death = shop.fetched("second"), Death(place)
    for bundle in (shop.folder, colours.bundle_of(shop.server(), second.name)):
        text = (bundle / "ops/__main__.py").read_text(encoding="utf-8")
        (bundle / "ops/other.py").write_text(text, encoding="utf-8")
    for name in ("copy", "_exchange"):
        monkeypatch.setattr(files, name, dying(death, getattr(files, name), shop.folder / "ops"))
    with suppress(Killed):
        shop.deploy(second)
    found = {path.name: path.read_text(encoding="utf-8") for path in (shop.folder / "ops").iterdir()}
    assert found.keys() == {"__main__.py", "other.py"}
    assert len(set(found.values())) == 1


def dying(death, real, folder):
    """Return a function that may be killed before and after its work on a folder, or on a new one for its place."""

    def work(source, target):
        ours = str(target).startswith(str(folder))
        if ours:
            death(target)
        done = real(source, target)
        if ours:
            death(target)
        return done

    return work


def test_one_off_that_is_going(shop):
    """One that ends at that moment, and is taken away by Docker itself, is waited for."""
    shop.docker.one_offs.append("shop-migrate-run-1")
    shop.docker.fail = failing("docker rm")
    shop.mend()
    assert shop.docker.one_offs == []


def test_edge_that_cannot_start(shop, at_step):
    """Where nginx cannot start with what a killed command left, the old configuration is there before it is started."""
    at_step("verify", Killed())
    killed(shop, shop.deploy, shop.fetched("second"))
    (shop.folder / "nginx/production.conf").write_text("half of it", encoding="utf-8")

    def start(argv):
        lies_there = (shop.folder / "nginx/production.conf").read_text(encoding="utf-8")
        if argv[-1] == "nginx" and lies_there != "first":
            raise CommandError("nginx exited (1)")

    shop.docker.fail = start
    shop.mend()
    assert (shop.users_meet, shop.running) == ("first", ["first"])


def test_one_off_containers(shop):
    """What a killed migration left running is taken away."""
    shop.docker.one_offs.append("shop-migrate-run-1")
    shop.mend()
    assert shop.docker.one_offs == []


def test_stopped_edge(shop, at_step):
    """Where nginx was stopped meanwhile, as by a restart of the machine, it is started before it is told anything."""
    at_step("ready", Killed())
    killed(shop, shop.deploy, shop.fetched("second"))
    shop.docker.done.clear()
    shop.mend()
    first = next(done for done in shop.docker.done if done.endswith(" nginx") or "docker exec" in done)
    assert " up " in first


def test_nothing_to_mend(shop):
    """Where nothing was interrupted, mending changes nothing."""
    shop.mend()
    assert [done for done in shop.docker.done if "docker ps" not in done and "config --format" not in done] == []


def test_canary(shop, at_step):
    """Killed while a canary had its share, the old release has all users again."""
    at_step("canary", Killed())
    killed(shop, shop.canary, shop.fetched("second"))
    shop.mend()
    assert (shop.users_meet, shop.running, shop.docker.lost) == ("first", ["first"], [])


@pytest.mark.parametrize(("step", "serves"), [("ready", "first"), ("switch", "first"), ("drain", "second")])
def test_promote(shop, at_step, step, serves):
    """Killed while a canary was promoted, one release has all users, as far as it had come."""
    shop.canary(shop.fetched("second"))
    at_step(step, Killed())
    killed(shop, shop.promote)
    shop.mend()
    assert (shop.users_meet, shop.running, shop.docker.lost) == (serves, [serves], [])


def test_abort(shop, at_step):
    """Killed while a canary was aborted, the old release has all users, and its files are in the server's folder."""
    shop.canary(shop.fetched("second"))
    at_step("abort", Killed())
    killed(shop, shop.abort)
    shop.mend()
    assert (shop.users_meet, shop.running, shop.docker.lost) == ("first", ["first"], [])
    assert (shop.folder / "ops/__main__.py").read_text(encoding="utf-8") == "first"
