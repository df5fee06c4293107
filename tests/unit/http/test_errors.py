"""Error responses: problem documents with the request id and without secrets."""

import pytest
from sqlalchemy.exc import InternalError, OperationalError
from sqlalchemy.exc import TimeoutError as PoolTimeoutError
from werkzeug.exceptions import InternalServerError, MethodNotAllowed, TooManyRequests, Unauthorized, default_exceptions

from app.db.circuit_breaker import CircuitOpenError
from app.db.session import DatabaseUnavailableError
from app.http.errors import Problem

SECRET = "hunter2-canary"
REQUIRED = {"type", "title", "status", "detail", "instance", "request_id"}


@pytest.fixture
def client(shared_app):
    """Return a client of the shared application."""
    return shared_app.test_client()


@pytest.fixture
def raised(shared_app, client):
    """Return a function that sends a request whose view raises the given error."""

    def send(error):
        def fail():
            raise error

        shared_app.raises = fail
        return client.get("/raise")

    return send


@pytest.mark.parametrize("status", sorted(default_exceptions))
def test_every_status(raised, status):
    """Every HTTP error is a problem document with the response's status and request id."""
    response = raised(default_exceptions[status]())
    assert (response.status_code, response.mimetype) == (status, "application/problem+json")
    assert response.json.keys() == REQUIRED
    assert (response.json["status"], response.json["instance"]) == (status, "/raise")
    assert response.json["request_id"] == response.headers["X-Request-ID"]
    assert response.json["title"] != "Unknown Error"
    assert response.json["detail"]


def test_unknown_path(client):
    """An unknown path gets a problem document."""
    assert client.get("/nowhere").mimetype == "application/problem+json"


@pytest.mark.parametrize("error", [RuntimeError(SECRET), KeyError(SECRET), ZeroDivisionError(SECRET)])
def test_unhandled_exception(raised, error, logged):
    """The log has the exception's text; the client gets only the request id."""
    log = logged()
    response = raised(error)
    assert (response.status_code, response.mimetype) == (500, "application/problem+json")
    assert SECRET not in response.text
    (line,) = [line for line in log.records if line["level"] == "ERROR"]
    assert SECRET in line["exception"]
    assert line["request_id"] == response.json["request_id"]


def test_description_of_a_500(raised):
    """A 500 does not reveal its description."""
    assert SECRET not in raised(InternalServerError(SECRET)).text


UNAVAILABLE = [
    DatabaseUnavailableError(SECRET),
    CircuitOpenError(SECRET),
    PoolTimeoutError(SECRET),
    OperationalError("SELECT 1", {}, Exception(SECRET)),
    InternalError("UPDATE", {}, Exception(SECRET)),  # psycopg2 raises this for a read-only server
]


@pytest.mark.parametrize("error", UNAVAILABLE, ids=lambda error: type(error).__name__)
def test_unavailable_backend(raised, error):
    """An unavailable backend gets 503 with Retry-After, and nothing about the backend."""
    response = raised(error)
    assert (response.status_code, response.headers["Retry-After"]) == (503, "2")
    assert (response.json["status"], response.json.keys()) == (503, REQUIRED)
    assert SECRET not in response.text


def test_log_of_an_unavailable_backend(raised, logged):
    """The log has the first line of the reason, without the statement and its values."""
    log = logged()
    raised(OperationalError("SELECT 'secret row'", {"a": 1}, Exception("no response\nDETAIL: more")))
    (line,) = [line for line in log.records if line["level"] == "ERROR"]
    assert line["message"] == "backend unavailable: OperationalError: no response"


HEADERS = [
    (MethodNotAllowed(["GET", "HEAD"]), "Allow", "GET, HEAD"),
    (TooManyRequests(retry_after=7), "Retry-After", "7"),
    (Unauthorized(), "Cache-Control", "no-store"),
    (Problem(415, "No.", headers={"Accept-Patch": "a/b"}), "Accept-Patch", "a/b"),
]


@pytest.mark.parametrize(("error", "name", "value"), HEADERS, ids=lambda value: value if type(value) is str else "")
def test_headers(raised, error, name, value):
    """An error keeps its headers, except for the content type."""
    response = raised(error)
    assert response.headers[name] == value
    assert response.headers.getlist("Content-Type") == ["application/problem+json"]


def test_method_not_allowed(client):
    """A 405 contains the allowed methods."""
    response = client.delete("/health")
    assert response.status_code == 405
    assert "GET" in response.headers["Allow"]


def test_field_errors(raised):
    """A Problem contains the invalid fields and their locations."""
    error = {"in": "body", "field": "name", "detail": "No."}
    response = raised(Problem(422, "Not valid.", [error]))
    assert (response.json["detail"], response.json["errors"]) == ("Not valid.", [error])


def test_schema_errors(client):
    """Validation errors name each field, including those in the query string."""
    response = client.get("/api/products?limit=x&page=2")
    assert response.status_code == 422
    assert sorted((error["in"], error["field"]) for error in response.json["errors"]) == [
        ("query", "limit"),
        ("query", "page"),
    ]


def test_redirect(client):
    """A redirect is not an error."""
    response = client.get("/")
    assert (response.status_code, response.headers["Location"]) == (302, "/api/docs")


@pytest.mark.parametrize("host", ["evil.example", "shop.example.evil.example", ""])
def test_untrusted_host(make_app, host):
    """A request for an untrusted host gets a problem document."""
    app = make_app(TRUSTED_HOSTS="shop.example")
    response = app.test_client().get("/health", headers={"Host": host})
    assert (response.status_code, response.mimetype) == (400, "application/problem+json")
    assert app.test_client().get("/health", headers={"Host": "shop.example"}).status_code == 200
