"""After a commit, and only then, forget the cached answers that were made from what it changed.

A model says so once, with `cache_tags`; no view and no service can forget to.
"""

from flask import Flask
from sqlalchemy import event
from sqlalchemy.orm import ORMExecuteState, Session

from app.cache import decorator as cache
from app.extensions import db

TAGS = "cache_tags"


def init_app(_app: Flask) -> None:
    """Listen to every session. Listening twice, as two applications in one process do, counts once."""
    event.listen(db.session, "after_flush", _note)
    event.listen(db.session, "do_orm_execute", _note_statement)
    event.listen(db.session, "after_commit", _forget)
    event.listen(db.session, "after_rollback", _dismiss)


def _note(session: Session, _context: object) -> None:
    touched = session.info.setdefault(TAGS, set())
    changed = [instance for instance in session.dirty if session.is_modified(instance)]
    for instance in (*session.new, *changed, *session.deleted):
        touched.update(getattr(instance, TAGS, ()))


def _note_statement(state: ORMExecuteState) -> None:
    if (state.is_insert or state.is_update or state.is_delete) and state.bind_mapper:
        touched = state.session.info.setdefault(TAGS, set())
        touched.update(getattr(state.bind_mapper.class_, TAGS, ()))


def _forget(session: Session) -> None:
    if tags := session.info.pop(TAGS, None):
        cache.current().forget(sorted(tags))


def _dismiss(session: Session) -> None:
    session.info.pop(TAGS, None)
