"""The application with a view that goes wrong in each way, for Gunicorn; secrets are in every one of them."""

import threading

import psycopg2
import redis
from flask import Response, request
from sqlalchemy import text

from app.cache import decorator as cache
from app.extensions import db
from wsgi import app


def secret():
    """Return what the client sent in its body."""
    return request.get_json()["password"]


def value_of_no_type():
    """Postgres quotes the value in its message."""
    db.session.execute(text("SELECT CAST(:value AS integer)"), {"value": secret()})


def value_that_is_there():
    """Postgres quotes the value in DETAIL."""
    db.session.execute(text("CREATE TEMPORARY TABLE once (value text UNIQUE) ON COMMIT DROP"))
    for _ in range(2):
        db.session.execute(text("INSERT INTO once VALUES (:value)"), {"value": secret()})


def database_url():
    """Somebody puts the URL into a text."""
    raise ValueError(f"cannot use {app.config['SQLALCHEMY_DATABASE_URI'].render_as_string(hide_password=False)}")


def wrong_password():
    """psycopg2 cannot connect."""
    psycopg2.connect(f"postgresql://nobody:{secret()}@127.0.0.1:1/app")


def redis_url():
    """redis-py cannot connect."""
    redis.Redis.from_url(f"redis://:{secret()}@127.0.0.1:1/0").ping()


def redis_command():
    """redis-py quotes the command of a pipeline."""
    pipe = cache.current().store.client.pipeline()
    pipe.set("key", secret())
    pipe.lpush("key", secret())
    pipe.execute()


def headers():
    """Somebody puts headers into a text."""
    raise RuntimeError(f"cannot be served: {dict(request.headers)}")


def environ():
    """Somebody puts all that the server knows of the request into a text."""
    raise RuntimeError(f"cannot be served: {request.environ}")


def body():
    """Somebody puts the body into a text."""
    raise RuntimeError(f"cannot be taken: {request.json}")


def added():
    """Somebody adds it to a line."""
    app.logger.error("cannot be taken", extra={"sent": request.json, "header": request.headers["Authorization"]})
    body()


def arguments():
    """Somebody logs it with one argument too few."""
    app.logger.error("%s of %s cannot be taken", request.json)
    body()


def thread():
    """It fails in a thread."""

    def fail(sent):
        raise RuntimeError(f"cannot be taken in thread: {sent}")

    failing = threading.Thread(target=fail, args=(request.json,))
    failing.start()
    failing.join()
    body()


def address():
    """Somebody puts the whole address into a text."""
    raise RuntimeError(f"cannot serve {request.url}")


def cause():
    """The secret is in what led to it."""
    try:
        value_of_no_type()
    except Exception as error:
        raise RuntimeError("no answer") from error


def half_an_answer():
    """It fails when Flask is done: Gunicorn logs it."""

    def parts():
        yield "half"
        raise RuntimeError("the other half is away")

    return Response(parts())


WAYS = (value_of_no_type, value_that_is_there, database_url, wrong_password, redis_url, redis_command)
WAYS += (headers, environ, body, added, arguments, thread, address, cause, half_an_answer)


@app.post("/fail/<how>")
def fail(how):
    """Go wrong."""
    return {way.__name__: way for way in WAYS}[how]()


def outside(environ, start_response):
    """Fail before Flask is asked: Gunicorn logs that, with the whole address."""
    if environ["PATH_INFO"] == "/outside":
        raise RuntimeError("nobody is at home")
    return inside(environ, start_response)


inside, app.wsgi_app = app.wsgi_app, outside
