"""Each backend error is counted once, by type; circuit breakers, cache outcomes and the pool are measured."""

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
    """Return a driver's error as SQLAlchemy raises it."""
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
    """A store with a fake Redis client."""
    return redis_store()


def errors(metric_value, backend):
    """Return the number of errors of each type."""
    types = ("unavailable", "timeout", "circuit_open", "pool_timeout", "other")
    found = {name: metric_value("backend_errors_total", backend=backend, error_type=name) for name in types}
    return {name: number for name, number in found.items() if number}


@pytest.mark.parametrize(("error_type", "error"), REDIS.items(), ids=REDIS)
def test_redis(store, metric_value, error_type, error):
    """Each Redis error is counted by its type, and each call that the circuit breaker rejects."""
    store.client.error = error
    for _ in range(5):
        with pytest.raises(StoreUnavailableError):
            store.get_many(["a"])
    assert errors(metric_value, "redis") == {error_type: 3, "circuit_open": 2}


def test_redis_breaker(store, metric_value):
    """The gauge is 1 from the failure that opens the circuit breaker to the first success."""
    store.client.error = redis.ConnectionError()
    seen = []
    for _ in range(3):
        with pytest.raises(StoreUnavailableError):
            store.get_many(["a"])
        seen.append(metric_value("circuit_breaker_open", backend="redis"))
    store.breaker.clock.now += 2
    store.client.error = None
    store.get_many(["a"])
    assert [*seen, metric_value("circuit_breaker_open", backend="redis")] == [0, 0, 1, 0]


@pytest.mark.parametrize(("error_type", "error"), POSTGRES.items(), ids=map(str, POSTGRES))
def test_postgres(app, metric_value, error_type, error):
    """Each database error is counted once by its type, though two handlers see it; a constraint violation is not."""
    with app.app_context(), pytest.raises(Exception), database.transaction(), database._guard():  # noqa: B017, PT011
        raise error
    assert errors(metric_value, "postgres") == ({error_type: 1} if error_type else {})


def test_postgres_breaker(app, metric_value):
    """One database timeout opens the circuit, and refused calls are counted."""
    with app.app_context():
        for _ in range(3):
            with pytest.raises(Exception), database._guard():  # noqa: B017, PT011
                raise POSTGRES["timeout"]
    assert errors(metric_value, "postgres") == {"timeout": 1, "circuit_open": 2}
    assert metric_value("circuit_breaker_open", backend="postgres") == 1


def get_outcomes(metric_value):
    """Return the number of requests for each cache outcome."""
    outcomes = ("hit", "miss", "stale", "refresh", "bypass")
    return [int(metric_value("cache_requests_total", outcome=outcome)) for outcome in outcomes]


def test_cache_outcomes(metric_value):
    """Requests are counted by outcome, and computations are timed."""
    cached_app = CachedApp()
    for path in ("/thing", "/thing", "/thing?x=1"):
        cached_app.get(path)
    assert get_outcomes(metric_value) == [1, 1, 0, 0, 1]
    assert metric_value("cache_compute_duration_seconds_count") == cached_app.calls == 2


def test_cache_refresh(metric_value):
    """Recomputing an expired entry is a refresh."""
    cached_app = CachedApp(ttl=0)
    cached_app.get()
    cached_app.get()
    assert get_outcomes(metric_value) == [0, 1, 0, 1, 0]


def test_cache_unavailable(metric_value):
    """A request without the store is a bypass."""
    store = FlakyStore()
    store.unavailable = True
    CachedApp(store=store).get()
    assert get_outcomes(metric_value) == [0, 0, 0, 0, 1]


def test_failed_computation(metric_value):
    """A failed computation is timed."""
    CachedApp(lambda: 1 / 0).get()
    assert metric_value("cache_compute_duration_seconds_count") == 1


@pytest.fixture
def pool(metric_value):
    """An engine with a pool of two; `pool.read()` returns its metrics: used, idle, waits."""
    options = {"poolclass": pool_metrics.MeasuredPool, "pool_size": 2, "max_overflow": 0, "pool_timeout": 0.01}
    engine_with_pool = sqlalchemy.create_engine("sqlite://", **options)

    def read():
        states = [int(metric_value("db_client_connection_count", state=state)) for state in ("used", "idle")]
        return [*states, int(metric_value("db_client_connection_wait_time_seconds_count"))]

    engine_with_pool.read = read
    yield engine_with_pool
    engine_with_pool.dispose()


def test_pool(pool):
    """A connection is used until it is closed, then idle; a wait that times out is measured."""
    pool_metrics.instrument(pool)
    first, second = pool.connect(), pool.connect()
    assert pool.read() == [2, 0, 2]
    with pytest.raises(PoolTimeoutError):
        pool.connect()
    second.close()
    assert pool.read() == [1, 1, 3]
    first.close()
    assert pool.read() == [0, 2, 3]
    pool.dispose()
    assert pool.read() == [0, 0, 3]


def test_broken_connection(pool):
    """A broken connection is neither used nor idle; its replacement is."""
    pool_metrics.instrument(pool)
    broken = pool.connect()
    broken.invalidate()
    broken.close()
    assert pool.read() == [0, 0, 1]
    with pool.connect():
        assert pool.read() == [1, 0, 2]
    assert pool.read() == [0, 1, 2]


@pytest.mark.parametrize("times", [1, 9])
def test_dead_connection(pool, times):
    """A connection that fails the liveness check is not counted, whether or not it can be replaced."""
    failures = iter([InvalidatePoolError()] * times)

    def fail(*_):
        if error := next(failures, None):
            raise error

    event.listen(pool, "checkout", fail)
    pool_metrics.instrument(pool)
    try:
        connection = pool.connect()
    except sqlalchemy.exc.InvalidRequestError:
        assert pool.read()[0] == 0
    else:
        assert pool.read() == [1, 0, 1]
        connection.close()
        assert pool.read() == [0, 1, 1]
