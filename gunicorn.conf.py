"""Gunicorn's settings, each with its reason; https://docs.gunicorn.org/en/stable/settings.html explains them.

WEB_CONCURRENCY, GUNICORN_THREADS, HOST, PORT and DRAIN_SECONDS change what a deployment may want to change.
"""

import logging
import math
import os
import signal
from logging.config import dictConfig
from pathlib import Path

from flask.cli import load_dotenv
from gunicorn.glogging import Logger

from app.observability import gunicorn_metrics, metrics, probes
from app.observability import logging as logging_config
from app.observability.gunicorn_metrics import (  # noqa: F401 - hooks
    child_exit,
    nworkers_changed,
    on_exit,
    post_worker_init,
    pre_fork,
)

CGROUP = Path("/sys/fs/cgroup")


def number(name, default, least, most):
    """Read a whole number from the environment; stop with its name and range when it is none."""
    text = os.environ.get(name) or str(default)
    if not text.isdecimal() or not least <= int(text) <= most:
        raise SystemExit(f"{name}: {text!r} cannot be used. Give a whole number from {least} to {most}.")
    return int(text)


def cpus(cgroup=CGROUP):
    """Return how many CPUs this container may use: the cgroup's quota (v2, then v1), else what the scheduler allows.

    os.cpu_count() would count the host's, and a container of half a CPU on a host of 64 would start 129 workers.
    """
    available = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    return min(available, quota_v2(cgroup) or quota_v1(cgroup) or available)


def quota_v2(cgroup):
    """Return the CPUs that cpu.max grants (docs.kernel.org/admin-guide/cgroup-v2.html), None without a limit."""
    try:
        limit, period = (cgroup / "cpu.max").read_text().split()
        return None if limit == "max" else int(limit) / int(period)
    except (OSError, ValueError):
        return None


def quota_v1(cgroup):
    """Return the CPUs that cpu.cfs_quota_us grants, None without a limit."""
    try:
        limit = int((cgroup / "cpu/cpu.cfs_quota_us").read_text())
        return None if limit <= 0 else limit / int((cgroup / "cpu/cpu.cfs_period_us").read_text())
    except (OSError, ValueError):
        return None


def default_workers():
    """One process for each CPU and two at least, so that one can die; one if the cache lives inside the process."""
    if not (os.environ.get("REDIS_URL") or os.environ.get("REDIS_URL_FILE")):
        return 1
    return max(2, math.ceil(cpus()))


class AppLogger(Logger):
    """Gunicorn's own lines in the application's format. The access log stays off: the application writes it."""

    def setup(self, cfg):
        """Hand Gunicorn's loggers, and Python's warnings, to the application's configuration."""
        super().setup(cfg)
        logging.captureWarnings(capture=True)
        dictConfig(log_settings())


def log_settings():
    """Return the logging configuration; what is wrong in it, the application's own check names."""
    level, form = os.environ.get("LOG_LEVEL") or "INFO", os.environ.get("LOG_FORMAT")
    default = "text" if os.environ.get("FLASK_ENV") == "development" else "json"
    known = level if level in {"DEBUG", "INFO", "WARNING", "ERROR", "CRITICAL"} else "INFO"
    path, release = os.environ.get("LOG_TO_FILE") or "", os.environ.get("RELEASE") or "unknown"
    return logging_config.dict_config(known, form if form in {"json", "text"} else default, path, release)


def on_starting(server):
    """Let the workers keep what they count in files that they share, if the application, now loaded, counts."""
    if metrics.book.on:
        gunicorn_metrics.start(server, gunicorn_metrics.new_folder(worker_tmp_dir))


def when_ready(server):
    """On SIGTERM first say "not ready", go on serving for DRAIN_SECONDS, then stop as Gunicorn does.

    A load balancer needs that time to notice. A listening socket that closes before it did resets the connections that
    wait in its queue. A second SIGTERM ends the wait.
    """

    def stop(_signal, _frame):
        signal.setitimer(signal.ITIMER_REAL, 0)  # an alarm that rings while Python ends kills the process
        server.signal(signal.SIGTERM, None)

    def drain(_signal, _frame):
        probes.drain()
        signal.signal(signal.SIGTERM, stop)
        signal.setitimer(signal.ITIMER_REAL, drain_seconds)

    if drain_seconds:
        signal.signal(signal.SIGALRM, stop)
        signal.signal(signal.SIGTERM, drain)


load_dotenv()

wsgi_app = "wsgi:app"
bind = f"{os.environ.get('HOST') or '0.0.0.0'}:{number('PORT', 8000, 1, 65535)}"

# psycopg2 blocks while it waits, so threads overlap the waits; many more would only wait for the interpreter.
worker_class = "gthread"
workers = number("WEB_CONCURRENCY", default_workers(), 1, 256)
threads = number("GUNICORN_THREADS", 4, 1, 64)

# A worker takes only as many connections as it has threads; with the default of 1,000 one queues while another idles.
worker_connections = threads
keepalive = 0

# The application is loaded once, before the fork: a broken one never gets a worker, and its memory is shared.
preload_app = True

# Beats from worker to master; on a disk they would wait for the disk.
memory = Path("/dev/shm")  # noqa: S108 - Gunicorn makes its file there with mkstemp
worker_tmp_dir = str(memory) if memory.is_dir() else None

# A worker whose main loop says nothing for so long is killed. Under gthread that does not bound a request: the
# timeouts of Postgres, of Redis and of the proxy do (DB_TIMEOUT < proxy_read_timeout).
timeout = 30
# What a request in flight may take when the server stops; below the container's stop_grace_period.
graceful_timeout = 30

# How long a stopping server still takes requests while it says that it is not ready; nobody balances load on a laptop.
drain_seconds = number("DRAIN_SECONDS", 0 if os.environ.get("FLASK_ENV") == "development" else 5, 0, 300)

# As much as Gunicorn allows, and a little more than nginx lets through: nginx answers with a problem document, Gunicorn
# with a page of HTML.
limit_request_line = 8190

# Whom to believe about the client is the application's ProxyFix alone.
forwarded_allow_ips = ""

# The socket for gunicornc would be made in a home directory that a read-only container does not have.
control_socket_disable = True

logger_class = AppLogger
accesslog = None
