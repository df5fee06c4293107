"""The application for Gunicorn, with views that fail in different ways while they process a secret."""

import threading

import psycopg2
import redis
from flask import Response, request
from sqlalchemy import text

from app.cache import current_cache
from app.extensions import db
from wsgi import app


def secret():
    """Return the secret in the request body."""
    return request.get_json()["password"]


def invalid_value():
    """Postgres quotes the value in its message."""
    db.session.execute(text("SELECT CAST(:value AS integer)"), {"value": secret()})


def duplicate_value():
    """Postgres quotes the value in DETAIL."""
    db.session.execute(text("CREATE TEMPORARY TABLE once (value text UNIQUE) ON COMMIT DROP"))
    for _ in range(2):
        db.session.execute(text("INSERT INTO once VALUES (:value)"), {"value": secret()})


def database_url():
    """An exception message contains the database URL."""
    raise ValueError(f"cannot use {app.config['SQLALCHEMY_DATABASE_URI'].render_as_string(hide_password=False)}")


def wrong_password():
    """psycopg2 cannot connect."""
    psycopg2.connect(f"postgresql://nobody:{secret()}@127.0.0.1:1/app")


def redis_url():
    """redis-py cannot connect."""
    redis.Redis.from_url(f"redis://:{secret()}@127.0.0.1:1/0").ping()


def redis_command():
    """redis-py quotes the command of a pipeline."""
    pipe = current_cache().store.shared.client.pipeline()
    pipe.set("key", secret())
    pipe.lpush("key", secret())
    pipe.execute()


def headers():
    """An exception message contains the headers."""
    raise RuntimeError(f"cannot be served: {dict(request.headers)}")


def environ():
    """An exception message contains the WSGI environment."""
    raise RuntimeError(f"cannot be served: {request.environ}")


def body():
    """An exception message contains the body."""
    raise RuntimeError(f"refused: {request.json}")


def extra_fields():
    """A log line has the secret in `extra`."""
    app.logger.error("refused", extra={"sent": request.json, "header": request.headers["Authorization"]})
    body()


def arguments():
    """A log call has one argument too few."""
    app.logger.error("%s of %s refused", request.json)
    body()


def thread():
    """A thread fails."""

    def fail(sent):
        raise RuntimeError(f"refused in a thread: {sent}")

    failing = threading.Thread(target=fail, args=(request.json,))
    failing.start()
    failing.join()
    body()


def address():
    """An exception message contains the URL."""
    raise RuntimeError(f"cannot serve {request.url}")


def cause():
    """The cause of the exception contains the secret."""
    try:
        invalid_value()
    except Exception as error:
        raise RuntimeError("statement failed") from error


def truncated_response():
    """The body fails after Flask has returned; Gunicorn logs it."""

    def parts():
        yield "half"
        raise RuntimeError("the second half failed")

    return Response(parts())


FAILURES = (invalid_value, duplicate_value, database_url, wrong_password, redis_url, redis_command)
FAILURES += (headers, environ, body, extra_fields, arguments, thread, address, cause, truncated_response)


@app.post("/fail/<how>")
def fail(how):
    """Run the failure that the path names."""
    return {failure.__name__: failure for failure in FAILURES}[how]()


def outside(environ, start_response):
    """Fail before Flask; Gunicorn logs the failure with the URL."""
    if environ["PATH_INFO"] == "/outside":
        raise RuntimeError("failed outside of Flask")
    return inside(environ, start_response)


inside, app.wsgi_app = app.wsgi_app, outside
