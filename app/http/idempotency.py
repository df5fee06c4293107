"""Idempotency-Key: a repeated request has its effect once and gets the first response again.

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
from app.http.errors import Problem, field_error
from app.models.idempotency_key import IdempotencyKey

HEADER = "Idempotency-Key"
LIFETIME = timedelta(hours=24)
WELL_FORMED = re.compile(r"[\x21-\x7e]{1,255}")
STORED_HEADERS = ("Content-Type", "Location", "ETag")
PURGE_LIMIT = 20  # expired keys that each new key deletes, so that the table does not outgrow a day's requests

View = Callable[..., Any]


def idempotent(view: View) -> View:
    """Run the view in one transaction with the request's Idempotency-Key, if there is one.

    Place it below @require_scope, as a key belongs to a token, and below @blp.arguments, as the fingerprint covers the
    validated body. The key, the view's changes and its response commit together or not at all. A second request with
    the key waits for the first; a different request with the same key gets 422.
    """

    @functools.wraps(view)
    def wrapper(data: dict[str, Any], **arguments: Any) -> Response:
        key = request.headers.get(HEADER)
        if key is None:
            return current_app.make_response(view(data, **arguments))
        if not WELL_FORMED.fullmatch(key):
            error = field_error("header", HEADER, "Must be 1 to 255 visible ASCII characters.")
            raise Problem(400, "The idempotency key is not valid.", [error])
        with transaction() as session:
            if not _claim(session, key, _fingerprint(data)):
                return _replay(session, key, _fingerprint(data))
            response = current_app.make_response(view(data, **arguments))
            _store(session, key, response)
            return response

    return wrapper


def _fingerprint(data: dict[str, Any]) -> str:
    canonical = json.dumps([request.method, request.path, data], sort_keys=True, default=str)
    return hashlib.sha256(canonical.encode()).hexdigest()


def _key_filter(key: str) -> Any:
    return (IdempotencyKey.token_id == g.token_id) & (IdempotencyKey.key == key)


def _claim(session: Session, key: str, fingerprint: str) -> bool:
    """Insert the key or take over an expired one; a concurrent claim waits for the first one's commit."""
    now = utc_now()
    _purge_expired(session, now)
    insert = postgresql.insert if session.get_bind().dialect.name == "postgresql" else sqlite.insert
    claimed = {"fingerprint": fingerprint, "status": None, "headers": None, "body": None, "expires_at": now + LIFETIME}
    statement = (
        insert(IdempotencyKey)
        .values(token_id=g.token_id, key=key, **claimed)
        .on_conflict_do_update(index_elements=["token_id", "key"], set_=claimed, where=IdempotencyKey.expires_at < now)
        .returning(IdempotencyKey.key)
    )
    try:
        return session.execute(statement).first() is not None
    except IntegrityError as error:  # the foreign key: the token was revoked after its lookup
        raise Problem(401, "The token was revoked.", headers={"WWW-Authenticate": 'Bearer realm="api"'}) from error


def _purge_expired(session: Session, now: Any) -> None:
    """Delete a few expired keys; skip those that another transaction has locked."""
    columns = (IdempotencyKey.token_id, IdempotencyKey.key)
    expired = select(*columns).where(IdempotencyKey.expires_at < now).limit(PURGE_LIMIT)
    session.execute(delete(IdempotencyKey).where(tuple_(*columns).in_(expired.with_for_update(skip_locked=True))))


def _replay(session: Session, key: str, fingerprint: str) -> Response:
    row = session.execute(select(IdempotencyKey).where(_key_filter(key))).scalar_one()
    if row.fingerprint != fingerprint:
        error = field_error("header", HEADER, "Was used with a different request. Send a new key.")
        raise Problem(422, "The idempotency key belongs to another request.", [error])
    response = Response(row.body, row.status)
    response.headers.update((name, value) for name, value in row.headers or [])
    response.headers["Idempotent-Replayed"] = "true"
    return response


def _store(session: Session, key: str, response: Response) -> None:
    headers = [[name, response.headers[name]] for name in STORED_HEADERS if name in response.headers]
    values = {"status": response.status_code, "headers": headers, "body": response.get_data()}
    session.execute(update(IdempotencyKey).where(_key_filter(key)).values(**values))
