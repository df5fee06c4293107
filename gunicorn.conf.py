"""Gunicorn settings and hooks; see https://docs.gunicorn.org/en/stable/settings.html.

The environment can override WEB_CONCURRENCY, GUNICORN_THREADS, HOST, PORT and DRAIN_SECONDS.
"""

import logging
import math
import os
import signal
from logging.config import dictConfig
from pathlib import Path

from flask.cli import load_dotenv
from gunicorn.glogging import Logger

from app.observability import gunicorn_metrics, log_handlers, probes
from app.observability import logging as logging_config
from app.observability.gunicorn_metrics import (  # noqa: F401 - hooks
    child_exit,
    nworkers_changed,
    on_exit,
    pre_fork,
)

CGROUP = Path("/sys/fs/cgroup")


def read_integer(name, default, minimum, maximum):
    """Read an integer from the environment; exit if it is invalid or out of range."""
    text = os.environ.get(name) or str(default)
    if not text.isdecimal() or not minimum <= int(text) <= maximum:
        raise SystemExit(f"{name}: {text!r} is invalid. Set an integer from {minimum} to {maximum}.")
    return int(text)


def count_cpus(cgroup=CGROUP):
    """Return the CPUs available to this container: the cgroup quota (v2, then v1), else the scheduler affinity.

    os.cpu_count() returns the host's CPUs: half a CPU on a host of 64 would get 64 workers.
    """
    available = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    return min(available, read_quota_v2(cgroup) or read_quota_v1(cgroup) or available)


def read_quota_v2(cgroup):
    """Return the CPUs in cpu.max (docs.kernel.org/admin-guide/cgroup-v2.html), None without a limit."""
    try:
        limit, period = (cgroup / "cpu.max").read_text().split()
        return None if limit == "max" else int(limit) / int(period)
    except (OSError, ValueError):
        return None


def read_quota_v1(cgroup):
    """Return the CPUs in cpu.cfs_quota_us, None without a limit."""
    try:
        limit = int((cgroup / "cpu/cpu.cfs_quota_us").read_text())
        return None if limit <= 0 else limit / int((cgroup / "cpu/cpu.cfs_period_us").read_text())
    except (OSError, ValueError):
        return None


def default_workers():
    """Return one worker per CPU but at least two, so that one can crash; one worker with the in-process cache."""
    if not (os.environ.get("REDIS_URL") or os.environ.get("REDIS_URL_FILE")):
        return 1
    return max(2, math.ceil(count_cpus()))


class AppLogger(Logger):
    """Formats Gunicorn's log as the application's. The access log is off: the application writes it."""

    def setup(self, cfg):
        """Apply the application's logging configuration to Gunicorn's loggers and to Python's warnings."""
        super().setup(cfg)
        logging.captureWarnings(capture=True)
        dictConfig(log_settings())


def log_settings():
    """Return the logging configuration, with defaults for invalid values; the application reports those."""
    level, form = os.environ.get("LOG_LEVEL") or "INFO", os.environ.get("LOG_FORMAT")
    default = "text" if os.environ.get("FLASK_ENV") == "development" else "json"
    valid_level = level if level in {"DEBUG", "INFO", "WARNING", "ERROR", "CRITICAL"} else "INFO"
    path, release = os.environ.get("LOG_TO_FILE") or "", os.environ.get("RELEASE") or "unknown"
    return logging_config.dict_config(valid_level, form if form in {"json", "text"} else default, path, release)


def on_starting(server):
    """Share metrics between the workers; the application is loaded by now."""
    gunicorn_metrics.on_starting(server, worker_tmp_dir)


def post_worker_init(worker):
    """Start the worker's metrics, and batch its access log."""
    gunicorn_metrics.post_worker_init(worker)
    log_handlers.start_batching()


def when_ready(server):
    """On SIGTERM fail the readiness probe, serve for DRAIN_SECONDS, then stop as Gunicorn does.

    A load balancer needs that time to notice. Closing the listening socket earlier would reset the connections in its
    queue. A second SIGTERM ends the wait.
    """

    def stop(_signal, _frame):
        signal.setitimer(signal.ITIMER_REAL, 0)  # SIGALRM during interpreter shutdown would kill the process
        server.signal(signal.SIGTERM, None)

    def drain(_signal, _frame):
        probes.start_draining()
        signal.signal(signal.SIGTERM, stop)
        signal.setitimer(signal.ITIMER_REAL, drain_seconds)

    if drain_seconds:
        signal.signal(signal.SIGALRM, stop)
        signal.signal(signal.SIGTERM, drain)


load_dotenv()

wsgi_app = "wsgi:app"
bind = f"{os.environ.get('HOST') or '0.0.0.0'}:{read_integer('PORT', 8000, 1, 65535)}"

# psycopg2 blocks, so threads overlap the waits; many more would only compete for the interpreter lock.
worker_class = "gthread"
workers = read_integer("WEB_CONCURRENCY", default_workers(), 1, 256)
threads = read_integer("GUNICORN_THREADS", 4, 1, 64)

# A worker accepts only as many connections as it has threads; with the default of 1,000 it queues while others idle.
worker_connections = threads
keepalive = 0

# Load the application once, before the fork: a broken application starts no worker, and workers share its memory.
preload_app = True

# Worker heartbeat files: on a disk, heartbeats would block on I/O.
shm = Path("/dev/shm")  # noqa: S108 - Gunicorn creates its files with mkstemp
worker_tmp_dir = str(shm) if shm.is_dir() else None

# Kill a worker whose main loop sends no heartbeat. Under gthread this does not limit a request: the timeouts of
# Postgres, Redis and the proxy do (DB_TIMEOUT < proxy_read_timeout).
timeout = 30
# Time for active requests to finish at shutdown; less than the container's stop_grace_period.
graceful_timeout = 30

# How long a stopping server accepts requests after its readiness probe fails; development has no load balancer.
drain_seconds = read_integer("DRAIN_SECONDS", 0 if os.environ.get("FLASK_ENV") == "development" else 5, 0, 300)

# Gunicorn's maximum, slightly above nginx's limit: nginx responds with a problem document, Gunicorn with HTML.
limit_request_line = 8190

# Only the application's ProxyFix evaluates forwarded headers.
forwarded_allow_ips = ""

# gunicornc's control socket needs a writable home directory, which a read-only container lacks.
control_socket_disable = True

logger_class = AppLogger
accesslog = None
