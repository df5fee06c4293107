"""/metrics responds to direct requests for any host, and to no request that a proxy forwarded."""

import pytest


@pytest.fixture
def site(make_app):
    """An application behind a proxy, with one trusted host."""
    return make_app(TRUSTED_PROXIES="1", TRUSTED_HOSTS="shop.example")


def test_any_host(site):
    """Prometheus scrapes a container by its IP address, which is not a trusted host."""
    response = site.test_client().get("/metrics", headers={"Host": "10.0.0.7:8000"})
    assert response.status_code == 200
    assert response.headers["Content-Type"] == "text/plain; version=0.0.4; charset=utf-8"
    assert response.headers["Cache-Control"] == "no-store"
    assert "# TYPE http_server_request_duration_seconds histogram" in response.text


@pytest.mark.parametrize("proxies", ["0", "1"])
def test_forwarded_request(make_app, proxies):
    """A forwarded request gets 404, whether or not the proxy is trusted."""
    client = make_app(TRUSTED_PROXIES=proxies).test_client()
    response = client.get("/metrics", headers={"X-Forwarded-For": "203.0.113.9"})
    assert (response.status_code, response.headers["Content-Type"]) == (404, "application/problem+json")


@pytest.mark.parametrize("path", ["/metrics/", "/Metrics", "/metrics.json", "/api/metrics"])
def test_similar_paths(site, path):
    """Similar paths get 404."""
    assert site.test_client().get(path, headers={"Host": "shop.example"}).status_code == 404


@pytest.mark.parametrize("method", ["POST", "DELETE", "OPTIONS"])
def test_other_methods(site, method):
    """Only GET is allowed."""
    assert site.test_client().open("/metrics", method=method, headers={"Host": "shop.example"}).status_code == 404


def test_scrape_is_not_recorded(site, metric_value, logged):
    """A scrape is neither logged nor counted, and not an active request."""
    log = logged()
    text = site.test_client().get("/metrics").text
    assert "http_server_active_requests 0.0" in text
    assert log.lines == []
    assert metric_value("http_server_request_duration_seconds_count") is None


def test_not_in_openapi(site):
    """The OpenAPI description omits the path."""
    description = site.test_client().get("/api/openapi.json", headers={"Host": "shop.example"}).json
    assert "/metrics" not in description["paths"]
