"""API tokens: shown once, stored as a hash."""

import hashlib
import secrets
from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import Row, bindparam, delete, insert, select, update
from sqlalchemy.exc import IntegrityError

from app.db.session import read, transaction
from app.db.types import utc_now
from app.models import ApiToken

PREFIX = "tok_"  # lets a secret scanner recognise a leaked token
USE_RESOLUTION = timedelta(minutes=1)  # saves a write for each request; last_used_at may lag by this much

COLUMNS = (ApiToken.id, ApiToken.name, ApiToken.scopes, ApiToken.created_at, ApiToken.expires_at, ApiToken.last_used_at)
BY_HASH = select(*COLUMNS).where(ApiToken.hash == bindparam("hash"))


class NameTakenError(Exception):
    """Another token has this name."""


def create(name: str, scopes: Sequence[str], lifetime: timedelta | None) -> str:
    """Create a token and return its secret, which cannot be read again."""
    secret = PREFIX + secrets.token_urlsafe(32)
    expires_at = utc_now() + lifetime if lifetime else None
    values = {"name": name, "hash": digest(secret), "scopes": " ".join(scopes), "expires_at": expires_at}
    try:
        with transaction() as session:
            session.execute(insert(ApiToken).values(**values))
    except IntegrityError as error:
        raise NameTakenError(name) from error
    return secret


def list_all() -> list[Row[Any]]:
    """Return all tokens without their hashes."""
    return read(select(*COLUMNS).order_by(ApiToken.name))


def revoke(name: str) -> bool:
    """Delete a token; return whether it existed."""
    with transaction() as session:
        revoked = session.execute(delete(ApiToken).where(ApiToken.name == name).returning(ApiToken.id)).first()
    return revoked is not None


def find(secret: str) -> Row[Any] | None:
    """Return the valid token with this secret, None without one; update last_used_at once per minute."""
    rows = read(BY_HASH, {"hash": digest(secret)})
    now = utc_now()
    if not rows or (rows[0].expires_at and rows[0].expires_at <= now):
        return None
    if _is_outdated(rows[0].last_used_at, now):
        with transaction() as session:
            session.execute(update(ApiToken).where(ApiToken.id == rows[0].id).values(last_used_at=now))
    return rows[0]


def digest(secret: str) -> str:
    """Return the SHA-256 of a secret, in hexadecimal."""
    return hashlib.sha256(secret.encode("utf-8", "surrogatepass")).hexdigest()


def _is_outdated(last_used_at: datetime | None, now: datetime) -> bool:
    return last_used_at is None or now - last_used_at > USE_RESOLUTION
