"""/metrics: for Prometheus, who asks by any name, and for nobody who comes through a proxy."""

import pytest


@pytest.fixture
def site(make_app):
    """An application behind a proxy, that knows one name."""
    return make_app(TRUSTED_PROXIES="1", TRUSTED_HOSTS="shop.example")


def test_by_any_name(site):
    """Prometheus asks a container by its address, which no setting knows."""
    answer = site.test_client().get("/metrics", headers={"Host": "10.0.0.7:8000"})
    assert (answer.status_code, answer.headers["Content-Type"]) == (200, "text/plain; version=0.0.4; charset=utf-8")
    assert answer.headers["Cache-Control"] == "no-store"
    assert "# TYPE http_server_request_duration_seconds histogram" in answer.text


@pytest.mark.parametrize("proxies", ["0", "1"])
def test_through_a_proxy(make_app, proxies):
    """What a proxy has forwarded finds nothing here, whether it is one that is believed or not."""
    client = make_app(TRUSTED_PROXIES=proxies).test_client()
    answer = client.get("/metrics", headers={"X-Forwarded-For": "203.0.113.9"})
    assert (answer.status_code, answer.headers["Content-Type"]) == (404, "application/problem+json")


@pytest.mark.parametrize("path", ["/metrics/", "/Metrics", "/metrics.json", "/api/metrics"])
def test_other_paths(site, path):
    """Nothing else is taken for it."""
    assert site.test_client().get(path, headers={"Host": "shop.example"}).status_code == 404


@pytest.mark.parametrize("method", ["POST", "DELETE", "OPTIONS"])
def test_only_reading(site, method):
    """It can only be read."""
    assert site.test_client().open("/metrics", method=method, headers={"Host": "shop.example"}).status_code == 404


def test_nobody_notices(site, counted, logged):
    """Asking is neither logged nor counted, nor is it in flight."""
    log = logged()
    text = site.test_client().get("/metrics").text
    assert "http_server_active_requests 0.0" in text
    assert log.lines == []
    assert counted("http_server_request_duration_seconds_count") is None


def test_not_described(site):
    """The API's description does not have it."""
    description = site.test_client().get("/api/openapi.json", headers={"Host": "shop.example"}).json
    assert "/metrics" not in description["paths"]
