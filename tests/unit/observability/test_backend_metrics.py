"""What is counted of the backends: each failure once and by its kind, open breakers, the cache's outcomes, the pool."""

import psycopg2
import pytest
import redis
import sqlalchemy
from sqlalchemy import event
from sqlalchemy.exc import IntegrityError, InvalidatePoolError, OperationalError
from sqlalchemy.exc import TimeoutError as PoolTimeoutError

from app.cache.stores.base import StoreUnavailableError
from app.db import engine, pool_metrics
from app.db import session as database
from tests.support.cache_app import CachedApp
from tests.support.cache_fakes import FlakyStore, redis_store

REDIS = {
    "unavailable": redis.ConnectionError,
    "timeout": redis.TimeoutError,
    "other": redis.ResponseError,
}


def failed(statement, original):
    """Return the driver's error as SQLAlchemy hands it on."""
    return OperationalError(statement, {}, original)


POSTGRES = {
    "unavailable": failed(None, psycopg2.OperationalError("refused")),
    "timeout": failed(None, engine.ResponseTimeoutError("no answer")),
    "pool_timeout": PoolTimeoutError(),
    "other": failed("SELECT 1", psycopg2.OperationalError("canceling statement due to statement timeout")),
    None: IntegrityError("INSERT", {}, Exception()),
}


@pytest.fixture
def store():
    """A store in a Redis that is a stand-in."""
    return redis_store()


def errors(counted, backend):
    """Return how many failures of each kind were counted."""
    kinds = ("unavailable", "timeout", "circuit_open", "pool_timeout", "other")
    found = {kind: counted("backend_errors_total", backend=backend, error_type=kind) for kind in kinds}
    return {kind: number for kind, number in found.items() if number}


@pytest.mark.parametrize(("kind", "error"), REDIS.items(), ids=REDIS)
def test_redis(store, counted, kind, error):
    """Each failure of Redis is counted by its kind; what is not asked for a while, as that."""
    store.client.error = error
    for _ in range(5):
        with pytest.raises(StoreUnavailableError):
            store.get_many(["a"])
    assert errors(counted, "redis") == {kind: 3, "circuit_open": 2}


def test_redis_breaker(store, counted):
    """The gauge is 1 from the failure that opens the breaker to the first answer."""
    store.client.error = redis.ConnectionError()
    seen = []
    for _ in range(3):
        with pytest.raises(StoreUnavailableError):
            store.get_many(["a"])
        seen.append(counted("circuit_breaker_open", backend="redis"))
    store.breaker.clock.now += 2
    store.client.error = None
    store.get_many(["a"])
    assert [*seen, counted("circuit_breaker_open", backend="redis")] == [0, 0, 1, 0]


@pytest.mark.parametrize(("kind", "error"), POSTGRES.items(), ids=map(str, POSTGRES))
def test_postgres(app, counted, kind, error):
    """Each failure of the database is counted by its kind, though it passes two guards; an answer is none."""
    with app.app_context(), pytest.raises(Exception), database.transaction(), database._guard():  # noqa: B017, PT011
        raise error
    assert errors(counted, "postgres") == ({kind: 1} if kind else {})


def test_postgres_breaker(app, counted):
    """One database timeout opens the circuit, and refused calls are counted."""
    with app.app_context():
        for _ in range(3):
            with pytest.raises(Exception), database._guard():  # noqa: B017, PT011
                raise POSTGRES["timeout"]
    assert errors(counted, "postgres") == {"timeout": 1, "circuit_open": 2}
    assert counted("circuit_breaker_open", backend="postgres") == 1


def outcomes(counted):
    """Return how often the cache did what."""
    kinds = ("hit", "miss", "stale", "refresh", "bypass")
    return [int(counted("cache_requests_total", outcome=kind)) for kind in kinds]


def test_cache(counted):
    """What the cache counts for everybody it counts here, and how long each computation took."""
    cached_app = CachedApp()
    for path in ("/thing", "/thing", "/thing?x=1"):
        cached_app.get(path)
    assert outcomes(counted) == [1, 1, 0, 0, 1]
    assert counted("cache_compute_duration_seconds_count") == cached_app.calls == 2


def test_cache_refresh(counted):
    """An expired answer that is made anew is a refresh."""
    cached_app = CachedApp(ttl=0)
    cached_app.get()
    cached_app.get()
    assert outcomes(counted) == [0, 1, 0, 1, 0]


def test_cache_away(counted):
    """Without its store the cache is gone around, once for each request."""
    store = FlakyStore()
    store.unavailable = True
    CachedApp(store=store).get()
    assert outcomes(counted) == [0, 0, 0, 0, 1]


def test_failed_computation(counted):
    """A computation that fails took its time too."""
    CachedApp(lambda: 1 / 0).get()
    assert counted("cache_compute_duration_seconds_count") == 1


@pytest.fixture
def pool(counted):
    """An engine with a pool of two, and what is counted of it: in use, idle, waits."""
    made = sqlalchemy.create_engine("sqlite://", poolclass=pool_metrics.MeasuredPool, pool_size=2, max_overflow=0)
    made.pool._timeout = 0.01

    def show():
        states = [int(counted("db_client_connection_count", state=state)) for state in ("used", "idle")]
        return [*states, int(counted("db_client_connection_wait_time_seconds_count"))]

    made.show = show
    yield made
    made.dispose()


def test_pool(pool):
    """A connection is in use while somebody has it, and idle after; who waits in vain has waited."""
    pool_metrics.watch(pool)
    first, second = pool.connect(), pool.connect()
    assert pool.show() == [2, 0, 2]
    with pytest.raises(PoolTimeoutError):
        pool.connect()
    second.close()
    assert pool.show() == [1, 1, 3]
    first.close()
    assert pool.show() == [0, 2, 3]
    pool.dispose()
    assert pool.show() == [0, 0, 3]


def test_pool_with_a_broken_connection(pool):
    """A connection that broke is neither in use nor idle, and the one in its place is."""
    pool_metrics.watch(pool)
    broken = pool.connect()
    broken.invalidate()
    broken.close()
    assert pool.show() == [0, 0, 1]
    with pool.connect():
        assert pool.show() == [1, 0, 2]
    assert pool.show() == [0, 1, 2]


@pytest.mark.parametrize("times", [1, 9])
def test_pool_with_a_dead_connection(pool, times):
    """One that is found dead before it is used is not counted twice where another could be had, nor where not."""
    failures = iter([InvalidatePoolError()] * times)

    def fail(*_):
        if error := next(failures, None):
            raise error

    event.listen(pool, "checkout", fail)
    pool_metrics.watch(pool)
    try:
        connection = pool.connect()
    except sqlalchemy.exc.InvalidRequestError:
        assert pool.show()[0] == 0
    else:
        assert pool.show() == [1, 0, 1]
        connection.close()
        assert pool.show() == [0, 1, 1]
