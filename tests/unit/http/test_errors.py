"""Errors: a problem document for each, with the request's id and without a secret."""

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
    """Asks the application that all of these tests share."""
    return shared_app.test_client()


@pytest.fixture
def raised(shared_app, client):
    """Return a function that answers a request whose view raises the given error."""

    def answer(error):
        def fail():
            raise error

        shared_app.raises = fail
        return client.get("/raise")

    return answer


@pytest.mark.parametrize("status", sorted(default_exceptions))
def test_every_status(raised, status):
    """Every HTTP error is a problem document whose status is the answer's and whose id is the header's."""
    answer = raised(default_exceptions[status]())
    assert (answer.status_code, answer.mimetype) == (status, "application/problem+json")
    assert answer.json.keys() == REQUIRED
    assert (answer.json["status"], answer.json["instance"]) == (status, "/raise")
    assert answer.json["request_id"] == answer.headers["X-Request-ID"]
    assert answer.json["title"] != "Unknown Error"
    assert answer.json["detail"]


def test_unknown_path(client):
    """An address that leads nowhere is answered in the same form."""
    assert client.get("/nowhere").mimetype == "application/problem+json"


@pytest.mark.parametrize("error", [RuntimeError(SECRET), KeyError(SECRET), ZeroDivisionError(SECRET)])
def test_unexpected(raised, error, logged):
    """An exception's text stays inside: the client gets the id under which the log has it."""
    log = logged()
    answer = raised(error)
    assert (answer.status_code, answer.mimetype) == (500, "application/problem+json")
    assert SECRET not in answer.text
    (line,) = [line for line in log.records if line["level"] == "ERROR"]
    assert SECRET in line["exception"]
    assert line["request_id"] == answer.json["request_id"]


def test_raised_with_a_text(raised):
    """Even a 500 that somebody raised with a text does not tell it."""
    assert SECRET not in raised(InternalServerError(SECRET)).text


AWAY = [
    DatabaseUnavailableError(SECRET),
    CircuitOpenError(SECRET),
    PoolTimeoutError(SECRET),
    OperationalError("SELECT 1", {}, Exception(SECRET)),
    InternalError("UPDATE", {}, Exception(SECRET)),  # what psycopg2 makes of a server that only reads
]


@pytest.mark.parametrize("error", AWAY, ids=lambda error: type(error).__name__)
def test_backend_away(raised, error):
    """A backend that is away is a 503 that says when to come back, and nothing about the backend."""
    answer = raised(error)
    assert (answer.status_code, answer.headers["Retry-After"]) == (503, "2")
    assert (answer.json["status"], answer.json.keys()) == (503, REQUIRED)
    assert SECRET not in answer.text


def test_statement_stays_inside(raised, logged):
    """The log has the reason's first line, not the statement with its values."""
    log = logged()
    raised(OperationalError("SELECT 'secret row'", {"a": 1}, Exception("no answer\nDETAIL: more")))
    (line,) = [line for line in log.records if line["level"] == "ERROR"]
    assert line["message"] == "backend unavailable: OperationalError: no answer"


HEADERS = [
    (MethodNotAllowed(["GET", "HEAD"]), "Allow", "GET, HEAD"),
    (TooManyRequests(retry_after=7), "Retry-After", "7"),
    (Unauthorized(), "Cache-Control", "no-store"),
    (Problem(415, "No.", headers={"Accept-Patch": "a/b"}), "Accept-Patch", "a/b"),
]


@pytest.mark.parametrize(("error", "name", "value"), HEADERS, ids=lambda value: value if type(value) is str else "")
def test_headers(raised, error, name, value):
    """The headers that belong to an error go out with it, and its content type is the document's."""
    answer = raised(error)
    assert answer.headers[name] == value
    assert answer.headers.getlist("Content-Type") == ["application/problem+json"]


def test_method_not_allowed(client):
    """Flask's own 405 says what is allowed."""
    answer = client.delete("/health")
    assert answer.status_code == 405
    assert "GET" in answer.headers["Allow"]


def test_fields(raised):
    """A Problem names the fields that were wrong, and where they were."""
    fault = {"in": "body", "field": "name", "detail": "No."}
    answer = raised(Problem(422, "Not valid.", [fault]))
    assert (answer.json["detail"], answer.json["errors"]) == ("Not valid.", [fault])


def test_fields_of_a_schema(client):
    """What the schema found is told field by field, from the query too."""
    answer = client.get("/api/products?limit=x&page=2")
    assert answer.status_code == 422
    assert sorted((fault["in"], fault["field"]) for fault in answer.json["errors"]) == [
        ("query", "limit"),
        ("query", "page"),
    ]


def test_redirect_is_no_error(client):
    """A redirect goes through as it is."""
    answer = client.get("/")
    assert (answer.status_code, answer.headers["Location"]) == (302, "/api/docs")


@pytest.mark.parametrize("host", ["evil.example", "shop.example.evil.example", ""])
def test_host_that_is_not_trusted(make_app, host):
    """A request for a name that is not ours is refused, in the same form."""
    app = make_app(TRUSTED_HOSTS="shop.example")
    answer = app.test_client().get("/health", headers={"Host": host})
    assert (answer.status_code, answer.mimetype) == (400, "application/problem+json")
    assert app.test_client().get("/health", headers={"Host": "shop.example"}).status_code == 200
