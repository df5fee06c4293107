"""Invalidate cached responses after each commit, by the `cache_tags` of the models that it changed."""

from flask import Flask
from sqlalchemy import event
from sqlalchemy.orm import ORMExecuteState, Session

from app.cache.response_cache import current_cache
from app.extensions import db

TAGS_ATTRIBUTE = "cache_tags"  # of a model
PENDING_TAGS = "pending_cache_tags"  # key in Session.info


def init_app(_app: Flask) -> None:
    """Listen to the session. SQLAlchemy registers a listener once, however many applications a process has."""
    event.listen(db.session, "after_flush", _collect_from_flush)
    event.listen(db.session, "do_orm_execute", _collect_from_statement)
    event.listen(db.session, "after_commit", _invalidate)
    event.listen(db.session, "after_rollback", _discard)


def _collect_from_flush(session: Session, _context: object) -> None:
    tags = session.info.setdefault(PENDING_TAGS, set())
    modified = [instance for instance in session.dirty if session.is_modified(instance)]
    for instance in (*session.new, *modified, *session.deleted):
        tags.update(getattr(instance, TAGS_ATTRIBUTE, ()))


def _collect_from_statement(state: ORMExecuteState) -> None:
    if (state.is_insert or state.is_update or state.is_delete) and state.bind_mapper:
        tags = state.session.info.setdefault(PENDING_TAGS, set())
        tags.update(getattr(state.bind_mapper.class_, TAGS_ATTRIBUTE, ()))


def _invalidate(session: Session) -> None:
    if tags := session.info.pop(PENDING_TAGS, None):
        current_cache().invalidate(sorted(tags))


def _discard(session: Session) -> None:
    session.info.pop(PENDING_TAGS, None)
