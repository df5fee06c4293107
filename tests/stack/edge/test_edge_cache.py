"""What Nginx keeps of the application's answers: what all may share, for a second, and longer while it is away."""

import threading
import time
from concurrent.futures import ThreadPoolExecutor

import pytest

from tests.support.helpers import wait_for
from tests.support.stack.client import is_problem

SHARED = "Cache-Control:public, max-age=0, s-maxage=60"
REFRESH = 0.25  # seconds that a refresh under way may take


@pytest.fixture
def path(request):
    """Return a path that no other test has."""
    return f"/{abs(hash(request.node.nodeid))}"


def numbers(edge, path, times, **options):
    """Ask so many times, and return how often the stub was asked."""
    return len({edge.get(path, header=SHARED, **options).json["number"] for _ in range(times)})


def test_what_all_may_share_is_asked_for_once(edge, path):
    """An answer that says it may be shared is fetched once, and the others come from Nginx, which says so."""
    answers = [edge.get(path, header=SHARED) for _ in range(4)]
    assert len({answer.json["number"] for answer in answers}) == 1
    assert [answer.headers["Cache-Status"] for answer in answers] == ["edge; fwd=uri-miss", *["edge; hit"] * 3]


def test_what_does_not_say_so_is_not_kept(edge, path):
    """Without s-maxage, or with no-store or private, each request reaches the application."""
    for said in ([], "Cache-Control:no-store", "Cache-Control:private, max-age=60", "Cache-Control:no-cache"):
        assert len({edge.get(path, header=said).json["number"] for _ in range(3)}) == 3, said


@pytest.mark.parametrize("name", ["Authorization", "Cookie"])
def test_what_is_kept_is_not_for_who_says_who_they_are(edge, path, name):
    """Who shows a token or a cookie is answered by the application, even where the answer for all is kept."""
    assert numbers(edge, path, 2) == 1
    assert numbers(edge, path, 3, headers={name: "session=1"}) == 3


@pytest.mark.parametrize("name", ["Authorization", "Cookie"])
def test_what_somebody_got_is_not_kept_for_others(edge, path, name):
    """An answer to somebody with a token or a cookie is given to nobody else, though it says that it may be shared."""
    theirs = edge.get(path, header=SHARED, headers={name: "session=1"})
    assert [name, "session=1"] in theirs.json["headers"]
    others = [edge.get(path, header=SHARED) for _ in range(2)]
    assert "session=1" not in str([answer.json for answer in others])


def test_a_cookie_is_not_given_to_others(edge, path):
    """An answer that sets a cookie is kept for nobody, whatever else it says."""
    asked = [edge.get(path, header=[SHARED, "Set-Cookie:session=secret"]) for _ in range(3)]
    assert len({answer.json["number"] for answer in asked}) == 3


def test_vary_is_kept_to(edge, path):
    """What depends on a header is kept for each of its values, and what depends on everything is not kept."""

    def ask(language, vary):
        return edge.get(path, header=[SHARED, f"Vary:{vary}"], headers={"Accept-Language": language}).json

    first = ask("de", "Accept-Language")
    assert ask("en", "Accept-Language")["number"] != first["number"]
    assert ask("de", "Accept-Language") == first
    assert ask("de", "*") != ask("de", "*")


def test_only_reading_is_kept(edge, path):
    """A POST is never answered from what is kept, nor kept."""
    assert numbers(edge, path, 3, method="POST") == 3
    assert numbers(edge, path, 2) == 1


def test_an_error_is_not_kept(edge, path):
    """An error that says nothing is fetched again each time."""
    assert len({edge.get(path, status=404).json["number"] for _ in range(3)}) == 3


def test_what_is_kept_stands_in_for_a_503(edge, path):
    """While the application says that it is away, its last good answer is given; the log has both."""
    said = "Cache-Control:public, s-maxage=1, stale-if-error=60"

    def stale():
        answer = edge.get(path, header=said, then=503)
        return answer.headers["Cache-Status"] == "edge; hit; detail=stale" and answer

    assert edge.get(path, header=said, then=503).status == 200
    answer = wait_for(stale)
    assert answer.status == 200
    logged = edge.log_line("nginx", answer.request_id)
    assert (logged["cache"], logged["status"], logged["upstream_status"]) == ("STALE", 200, "503")


@pytest.mark.parametrize("status", [500, 404])
def test_a_fault_is_shown(edge, path, status):
    """Nothing stands in for a fault of the application, or for what has been taken away."""
    said = "Cache-Control:public, s-maxage=1, stale-if-error=60"
    assert edge.get(path, header=said, then=status).status == 200
    wait_for(lambda: edge.get(path, header=said, then=status).status == status)


@pytest.mark.parametrize("said", [[], "Cache-Control:no-store"])
def test_nobody_waits_for_what_is_not_kept(edge, path, said):
    """Of many who ask for the same page at the same moment, each has it at once, if it may not be kept."""
    with ThreadPoolExecutor(8) as pool:
        answers = list(pool.map(lambda _: edge.get(path, header=said, wait=0.2), range(8)))
    assert len({answer.json["number"] for answer in answers}) == 8
    assert max(answer.seconds for answer in answers) < 1.5


def test_while_one_fetches_the_others_do_not_wait(edge, path):
    """When what was kept has just ended, one request fetches it anew, and the others have the last one meanwhile."""
    said = "Cache-Control:public, s-maxage=1, stale-while-revalidate=30"
    edge.get(path, header=said, wait=1)
    time.sleep(2.1)  # no condition says that it has ended without fetching it anew
    with ThreadPoolExecutor(8) as pool:
        answers = list(pool.map(lambda _: edge.get(path, header=said, wait=1), range(8)))
    assert [answer.headers["Cache-Status"] for answer in answers].count("edge; hit; detail=updating") == 7


def test_the_port_that_was_asked_for_is_part_of_the_question(edge, path):
    """An answer that names another port, as a redirect may, is kept for who asked for that one."""
    told = [
        dict(edge.get(path, header=SHARED, headers={"Host": host}).json["headers"])["Host"]
        for host in ("shop.example:666", "shop.example")
    ]
    assert told == ["shop.example:666", "shop.example"]


def test_each_answer_has_an_id_of_its_own(edge, path):
    """An answer that comes from what is kept has its own request's id, not the first one's."""
    answers = [edge.get(path, header=[SHARED, "X-Request-ID:from-the-application"]) for _ in range(3)]
    assert len({answer.request_id for answer in answers}) == 3
    assert [len(answer.headers.get_all("X-Request-ID")) for answer in answers] == [1] * 3


def test_who_has_it_already_is_told_so(edge, path):
    """A client that names the ETag of what is kept gets 304 from Nginx."""
    edge.get(path, header=[SHARED, 'ETag:"abc"'])
    answer = edge.get(path, header=[SHARED, 'ETag:"abc"'], headers={"If-None-Match": '"abc"'})
    assert (answer.status, answer.headers["Cache-Status"]) == (304, "edge; hit")


def test_conditions_of_a_change_get_through(edge, path):
    """What a change depends on reaches the application."""
    got = edge.get(path, method="PUT", headers={"If-Match": '"abc"'}).json["headers"]
    assert ["If-Match", '"abc"'] in got


def list_of(server, name):
    """Return the newest products' numbers that begin so."""
    answer = server.ask("/api/products?limit=100")
    assert answer.status == 200
    return [item["sku"] for item in answer.json["items"] if item["sku"].startswith(name)]


def test_the_list_is_kept(server):
    """The real list is fetched once or twice a second, however often it is asked for, and says that it was kept."""
    server.ask("/api/products?limit=3")
    said = [server.ask("/api/products?limit=3").headers.get_all("Cache-Status")[-1] for _ in range(20)]
    assert said.count("edge; hit") >= 15


def test_a_write_is_visible_within_a_second(server, figure):
    """While others keep asking, a new product is in the list a second after its 201, or when a refresh is done."""
    token, over, slowest = server.token(), threading.Event(), 0.0

    def keep_asking():
        while not over.is_set():
            list_of(server, "SEEN")

    readers = [threading.Thread(target=keep_asking) for _ in range(3)]
    for reader in readers:
        reader.start()
    try:
        for number in range(8):
            sku = f"SEEN-{server.https}-{number}"
            product = {"sku": sku, "name": "Mug", "price": 1, "currency": "EUR"}
            assert server.ask("/api/products", "POST", json=product, token=token).status == 201
            written = time.monotonic()
            wait_for(lambda sku=sku: sku in list_of(server, "SEEN"), seconds=5)
            slowest = max(slowest, time.monotonic() - written)
            later = time.monotonic() + 0.5
            while time.monotonic() < later:  # and it does not go away again
                assert sku in list_of(server, "SEEN")
    finally:
        over.set()
        for reader in readers:
            reader.join()
    figure(f"a write is visible after {slowest:.2f} s at the latest, of 8")
    assert slowest <= 1 + REFRESH


def test_without_the_application_what_was_kept_is_answered(server):
    """With every container of the application stopped, the list goes on being answered, and all else is a clear 503."""
    colour, path = server.status()["active_colour"], "/api/products?limit=4"
    kept = server.ask(path)
    server.compose("stop", "--timeout", "3", f"web-{colour}")
    try:
        answers, end = [], time.monotonic() + 4  # longer than it is fresh
        while time.monotonic() < end:
            answers.append(server.ask(path))
        assert {answer.status for answer in answers} == {200}
        assert {answer.body for answer in answers} == {kept.body}
        assert answers[-1].headers.get_all("Cache-Status")[-1] == "edge; hit; detail=stale"
        other = server.ask("/api/products/1")
        assert is_problem(other, 503)
        assert int(other.headers["Retry-After"]) >= 1
        page = server.ask("/api/docs", headers={"Accept": "text/html"})
        assert (page.status, page.headers.get_content_type()) == (503, "text/html")
    finally:
        server.compose("up", "--detach", "--no-deps", "--no-recreate", f"web-{colour}")
        wait_for(lambda: server.ask("/health/ready").status == 200, seconds=60)
