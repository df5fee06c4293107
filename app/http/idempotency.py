"""Idempotency-Key: a request that is sent again is answered as the first time, and done once.

https://datatracker.ietf.org/doc/draft-ietf-httpapi-idempotency-key-header/
"""

import functools
import hashlib
import json
import re
from collections.abc import Callable
from datetime import timedelta
from typing import Any

from flask import Response, current_app, g, request
from sqlalchemy import delete, select, tuple_, update
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm import Session

from app.db.session import transaction
from app.db.types import utc_now
from app.http.errors import Problem
from app.models import IdempotencyKey

LIFETIME = timedelta(hours=24)
WELL_FORMED = re.compile(r"[\x21-\x7e]{1,255}")
KEPT_HEADERS = ("Content-Type", "Location", "ETag")
SWEEP = 20  # expired keys that each new one takes away: the table cannot outgrow a day's requests

View = Callable[..., Any]


def idempotent(view: View) -> View:
    """Run the view in one transaction with its Idempotency-Key, if the request has one.

    Use it below @requires (a key belongs to a token) and below @blp.arguments (what counts is the validated body). The
    key, the view's changes and its answer are committed together or not at all. A second request with the key waits
    for the first; a different one with the same key is refused with 422.
    """

    @functools.wraps(view)
    def answer(data: dict[str, Any], **arguments: Any) -> Response:
        key = request.headers.get("Idempotency-Key")
        if key is None:
            return current_app.make_response(view(data, **arguments))
        if not WELL_FORMED.fullmatch(key):
            fault = {"in": "header", "field": "Idempotency-Key", "detail": "Must be 1 to 255 visible ASCII characters."}
            raise Problem(400, "The request cannot be read.", [fault])
        with transaction() as session:
            if not _claim(session, key, _fingerprint(data)):
                return _replay(session, key, _fingerprint(data))
            response = current_app.make_response(view(data, **arguments))
            _keep(session, key, response)
            return response

    return answer


def _fingerprint(data: dict[str, Any]) -> str:
    canonical = json.dumps([request.method, request.path, data], sort_keys=True, default=str)
    return hashlib.sha256(canonical.encode()).hexdigest()


def _mine(key: str) -> Any:
    return (IdempotencyKey.token_id == g.token_id) & (IdempotencyKey.key == key)


def _claim(session: Session, key: str, fingerprint: str) -> bool:
    """Insert the key, or take an expired one over; the database makes a second claim wait for the first's commit."""
    now = utc_now()
    _sweep(session, now)
    insert = postgresql.insert if session.get_bind().dialect.name == "postgresql" else sqlite.insert
    fresh = {"fingerprint": fingerprint, "status": None, "headers": None, "body": None, "expires_at": now + LIFETIME}
    statement = (
        insert(IdempotencyKey)
        .values(token_id=g.token_id, key=key, **fresh)
        .on_conflict_do_update(index_elements=["token_id", "key"], set_=fresh, where=IdempotencyKey.expires_at < now)
        .returning(IdempotencyKey.key)
    )
    try:
        return session.execute(statement).first() is not None
    except IntegrityError as error:  # the foreign key: the token was revoked since it was looked up
        raise Problem(401, "The token was revoked.", headers={"WWW-Authenticate": 'Bearer realm="api"'}) from error


def _sweep(session: Session, now: Any) -> None:
    """Delete a few expired keys, passing over those that another transaction holds."""
    columns = (IdempotencyKey.token_id, IdempotencyKey.key)
    expired = select(*columns).where(IdempotencyKey.expires_at < now).limit(SWEEP).with_for_update(skip_locked=True)
    session.execute(delete(IdempotencyKey).where(tuple_(*columns).in_(expired)))


def _replay(session: Session, key: str, fingerprint: str) -> Response:
    row = session.execute(select(IdempotencyKey).where(_mine(key))).scalar_one()
    if row.fingerprint != fingerprint:
        fault = {"in": "header", "field": "Idempotency-Key", "detail": "Was used with another request. Take a new one."}
        raise Problem(422, "The idempotency key belongs to another request.", [fault])
    response = Response(row.body, row.status)
    response.headers.update((name, value) for name, value in row.headers or [])
    response.headers["Idempotent-Replayed"] = "true"
    return response


def _keep(session: Session, key: str, response: Response) -> None:
    headers = [[name, response.headers[name]] for name in KEPT_HEADERS if name in response.headers]
    kept = {"status": response.status_code, "headers": headers, "body": response.get_data()}
    session.execute(update(IdempotencyKey).where(_mine(key)).values(**kept))
