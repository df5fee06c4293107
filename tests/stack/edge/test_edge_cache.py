"""The micro-cache: shared responses are cached for a second, and longer while the application is unavailable."""

import threading
import time
from concurrent.futures import ThreadPoolExecutor

import pytest

from tests.support.helpers import wait_for
from tests.support.stack.client import is_problem

SHARED = "Cache-Control:public, max-age=0, s-maxage=60"
REFRESH_S = 0.25  # seconds that a running refresh may take


@pytest.fixture
def path(request):
    """A path that no other test uses."""
    return f"/{abs(hash(request.node.nodeid))}"


def computations(edge, path, times, **options):
    """Send the same request several times and return how often the stub computed a response."""
    return len({edge.get(path, header=SHARED, **options).json["number"] for _ in range(times)})


@pytest.mark.guarantee("Shared responses are computed about once a second")
def test_a_shared_response_is_fetched_once(edge, path):
    """Nginx fetches a response with s-maxage once and serves it from the cache afterwards, with Cache-Status."""
    responses = [edge.get(path, header=SHARED) for _ in range(4)]
    assert len({response.json["number"] for response in responses}) == 1
    assert [response.headers["Cache-Status"] for response in responses] == ["edge; fwd=uri-miss", *["edge; hit"] * 3]


def test_other_responses_are_not_cached(edge, path):
    """Without s-maxage, or with no-store or private, every request reaches the application."""
    for cache_control in ([], "Cache-Control:no-store", "Cache-Control:private, max-age=60", "Cache-Control:no-cache"):
        assert len({edge.get(path, header=cache_control).json["number"] for _ in range(3)}) == 3, cache_control


@pytest.mark.guarantee("A response to a request with credentials is never stored or served to others")
@pytest.mark.parametrize("name", ["Authorization", "Cookie"])
def test_credentials_bypass_the_cache(edge, path, name):
    """A request with a token or a cookie reaches the application even if a shared response is cached."""
    assert computations(edge, path, 2) == 1
    assert computations(edge, path, 3, headers={name: "session=1"}) == 3


@pytest.mark.guarantee("A response to a request with credentials is never stored or served to others")
@pytest.mark.parametrize("name", ["Authorization", "Cookie"])
def test_responses_to_credentials_are_not_stored(edge, path, name):
    """A response to a request with credentials is never served to others, even with s-maxage."""
    private = edge.get(path, header=SHARED, headers={name: "session=1"})
    assert [name, "session=1"] in private.json["headers"]
    shared = [edge.get(path, header=SHARED) for _ in range(2)]
    assert "session=1" not in str([response.json for response in shared])


def test_a_response_that_sets_a_cookie_is_not_stored(edge, path):
    """A response with Set-Cookie is never stored, whatever its Cache-Control."""
    responses = [edge.get(path, header=[SHARED, "Set-Cookie:session=secret"]) for _ in range(3)]
    assert len({response.json["number"] for response in responses}) == 3


def test_vary_is_honoured(edge, path):
    """A response is cached per value of the headers in Vary; `Vary: *` is not cached."""

    def fetch(language, vary):
        return edge.get(path, header=[SHARED, f"Vary:{vary}"], headers={"Accept-Language": language}).json

    first = fetch("de", "Accept-Language")
    assert fetch("en", "Accept-Language")["number"] != first["number"]
    assert fetch("de", "Accept-Language") == first
    assert fetch("de", "*") != fetch("de", "*")


def test_only_reads_are_cached(edge, path):
    """A POST is neither responseed from the cache nor stored."""
    assert computations(edge, path, 3, method="POST") == 3
    assert computations(edge, path, 2) == 1


def test_errors_are_not_cached(edge, path):
    """An error without Cache-Control is fetched every time."""
    assert len({edge.get(path, status=404).json["number"] for _ in range(3)}) == 3


def test_a_stale_response_replaces_a_503(edge, path):
    """While the application returns 503, nginx serves the stale response and logs both statuses."""
    cache_control = "Cache-Control:public, s-maxage=1, stale-if-error=60"

    def stale():
        response = edge.get(path, header=cache_control, then=503)
        return response.headers["Cache-Status"] == "edge; hit; detail=stale" and response

    assert edge.get(path, header=cache_control, then=503).status == 200
    response = wait_for(stale)
    assert response.status == 200
    logged = edge.log_line("nginx", response.request_id)
    assert (logged["cache"], logged["status"], logged["upstream_status"]) == ("STALE", 200, "503")


@pytest.mark.parametrize("status", [500, 404])
def test_other_errors_are_shown(edge, path, status):
    """A stale response replaces neither a 500 nor a 404."""
    cache_control = "Cache-Control:public, s-maxage=1, stale-if-error=60"
    assert edge.get(path, header=cache_control, then=status).status == 200
    wait_for(lambda: edge.get(path, header=cache_control, then=status).status == status)


@pytest.mark.parametrize("cache_control", [[], "Cache-Control:no-store"])
def test_uncacheable_responses_are_not_serialised(edge, path, cache_control):
    """Simultaneous requests for an uncacheable page do not wait for each other."""
    with ThreadPoolExecutor(8) as pool:
        responses = list(pool.map(lambda _: edge.get(path, header=cache_control, wait=0.2), range(8)))
    assert len({response.json["number"] for response in responses}) == 8
    assert max(response.seconds for response in responses) < 1.5


def test_one_request_revalidates_the_others_get_stale(edge, path):
    """When a response expires, one request fetches it and the others get the stale one meanwhile."""
    cache_control = "Cache-Control:public, s-maxage=1, stale-while-revalidate=30"
    edge.get(path, header=cache_control, wait=1)
    time.sleep(2.1)  # no condition can be observed without revalidating
    with ThreadPoolExecutor(8) as pool:
        responses = list(pool.map(lambda _: edge.get(path, header=cache_control, wait=1), range(8)))
    assert [response.headers["Cache-Status"] for response in responses].count("edge; hit; detail=updating") == 7


def test_the_requested_port_is_part_of_the_key(edge, path):
    """A response that depends on the port, such as a redirect, is cached per port."""
    hosts = [
        dict(edge.get(path, header=SHARED, headers={"Host": host}).json["headers"])["Host"]
        for host in ("shop.example:666", "shop.example")
    ]
    assert hosts == ["shop.example:666", "shop.example"]


def test_each_cached_response_has_its_own_request_id(edge, path):
    """A cached response carries the id of its own request, not of the first one."""
    responses = [edge.get(path, header=[SHARED, "X-Request-ID:from-the-application"]) for _ in range(3)]
    assert len({response.request_id for response in responses}) == 3
    assert [len(response.headers.get_all("X-Request-ID")) for response in responses] == [1] * 3


def test_a_matching_etag_gets_304_from_the_cache(edge, path):
    """If-None-Match with the cached ETag gets 304 from nginx."""
    edge.get(path, header=[SHARED, 'ETag:"abc"'])
    response = edge.get(path, header=[SHARED, 'ETag:"abc"'], headers={"If-None-Match": '"abc"'})
    assert (response.status, response.headers["Cache-Status"]) == (304, "edge; hit")


def test_if_match_reaches_the_application(edge, path):
    """Nginx passes If-Match on."""
    forwarded = edge.get(path, method="PUT", headers={"If-Match": '"abc"'}).json["headers"]
    assert ["If-Match", '"abc"'] in forwarded


def listed_skus(server, name):
    """Return the SKUs of the newest products that start with a prefix."""
    response = server.request("/api/products?limit=100")
    assert response.status == 200
    return [item["sku"] for item in response.json["items"] if item["sku"].startswith(name)]


def test_the_product_list_is_cached(server):
    """Requests for the real product list mostly hit the micro-cache."""
    server.request("/api/products?limit=3")
    statuses = [server.request("/api/products?limit=3").headers.get_all("Cache-Status")[-1] for _ in range(20)]
    assert statuses.count("edge; hit") >= 15


@pytest.mark.guarantee("A write is visible through the micro-cache within a second")
def test_a_write_is_visible_within_a_second(server, figure):
    """Under constant reads a new product is listed within a second of its 201, plus a running refresh."""
    token, stop, slowest = server.token(), threading.Event(), 0.0

    def keep_reading():
        while not stop.is_set():
            listed_skus(server, "SEEN")

    readers = [threading.Thread(target=keep_reading) for _ in range(3)]
    for reader in readers:
        reader.start()
    try:
        for number in range(8):
            sku = f"SEEN-{server.https}-{number}"
            product = {"sku": sku, "name": "Mug", "price": 1, "currency": "EUR"}
            assert server.request("/api/products", "POST", json=product, token=token).status == 201
            written = time.monotonic()
            wait_for(lambda sku=sku: sku in listed_skus(server, "SEEN"), seconds=5)
            slowest = max(slowest, time.monotonic() - written)
            later = time.monotonic() + 0.5
            while time.monotonic() < later:  # and it stays
                assert sku in listed_skus(server, "SEEN")
    finally:
        stop.set()
        for reader in readers:
            reader.join()
    figure(f"slowest of 8 writes visible after {slowest:.2f} s")
    assert slowest <= 1 + REFRESH_S


@pytest.mark.guarantee("With the application down, nginx still serves cached lists")
def test_without_the_application_stale_lists_are_served(server):
    """With the application stopped, nginx serves the stale list and 503 with Retry-After for everything else."""
    colour, path = server.status()["active_colour"], "/api/products?limit=4"
    cached = server.request(path)
    server.compose("stop", "--timeout", "3", f"web-{colour}")
    try:
        responses, end = [], time.monotonic() + 4  # longer than the response is fresh
        while time.monotonic() < end:
            responses.append(server.request(path))
        assert {response.status for response in responses} == {200}
        assert {response.body for response in responses} == {cached.body}
        assert responses[-1].headers.get_all("Cache-Status")[-1] == "edge; hit; detail=stale"
        other = server.request("/api/products/1")
        assert is_problem(other, 503)
        assert int(other.headers["Retry-After"]) >= 1
        page = server.request("/api/docs", headers={"Accept": "text/html"})
        assert (page.status, page.headers.get_content_type()) == (503, "text/html")
    finally:
        server.compose("up", "--detach", "--no-deps", "--no-recreate", f"web-{colour}")
        wait_for(lambda: server.request("/health/ready").status == 200, seconds=60)
