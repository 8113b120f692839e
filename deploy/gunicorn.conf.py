"""gunicorn in production: `gunicorn --config gunicorn.conf.py bridge.wsgi:app`. Why: docs/decisions/031-production.md.

Four variables change what machines differ in: WEB_BIND, WEB_CONCURRENCY (workers), WEB_THREADS (of each worker)
and WEB_STOP_S (how long requests that are under way may take after SIGTERM).
"""

import json
import logging
import os
import shutil
import tempfile
from datetime import UTC, datetime
from typing import Any

from gunicorn.glogging import Logger
from gunicorn.workers.gthread import ThreadWorker

METRICS = "PROMETHEUS_MULTIPROC_DIR"


def _folder_of_metrics() -> str:
    """Return where the workers of this server count: one folder a master, kept by a reload and new after a restart."""
    ours = f"qlik-bridge-metrics-{os.getpid()}-"
    kept = os.environ.get(METRICS, "")
    if os.path.basename(kept).startswith(ours):  # noqa: PTH119 - a name, no file
        return kept
    return tempfile.mkdtemp(prefix=ours, dir=os.environ.get("RUNTIME_DIRECTORY"))


os.environ[METRICS] = _folder_of_metrics()  # before any worker imports the library that reads it


class Worker(ThreadWorker):  # type: ignore[misc] # gunicorn says nothing of its types
    """Takes what the kernel has already accepted for us when the end comes, and then lets it accept no more."""

    def set_accept_enabled(self, enabled: bool) -> None:  # noqa: FBT001 - gunicorn's signature
        super().set_accept_enabled(enabled and self.alive)
        while self.sockets and not self.alive:
            listener, known = self.sockets.pop(), -1
            while self.nr_conns != known:
                known = self.nr_conns
                self.accept(listener)
            listener.close()


class Lines(Logger):  # type: ignore[misc] # gunicorn says nothing of its types
    """Collects nothing for an access log: the bridge writes its own line for each request, by route.

    An address may hold anything. gunicorn would collect it all the same, for its own lines are configured here.
    """

    def access(self, *_: Any) -> None:  # noqa: ANN401 - gunicorn's own
        return


worker_class = Worker
logger_class = Lines
bind = os.environ.get("WEB_BIND", "127.0.0.1:8080")
workers = int(os.environ.get("WEB_CONCURRENCY", "2"))
threads = int(os.environ.get("WEB_THREADS", "16"))
os.environ.setdefault("BRIDGE_THREADS", str(threads))  # the bridge leaves a quarter of them to who waits for nobody
graceful_timeout = int(os.environ.get("WEB_STOP_S", "40"))
timeout = (
    60  # a worker whose main thread is silent for so long is killed; requests are watched by their own time limits
)
keepalive = 75  # longer than the proxy keeps an idle connection, or it would send requests into closed ones
preload_app = False
limit_request_field_size = 32_768  # an assertion may carry hundreds of groups
worker_tmp_dir = "/dev/shm" if os.path.isdir("/dev/shm") else None  # noqa: PTH112, S108 - empty files that gunicorn touches
control_socket_disable = True


class _JsonLines(logging.Formatter):
    """Writes what the master has to say in the form of the bridge's own lines."""

    def format(self, record: logging.LogRecord) -> str:
        at = datetime.fromtimestamp(record.created, UTC).isoformat().replace("+00:00", "Z")
        line = {"event": record.getMessage(), "logger": record.name, "level": record.levelname.lower(), "timestamp": at}
        if record.exc_info:
            line["exception"] = self.formatException(record.exc_info)
        return json.dumps(line)


logconfig_dict = {
    "version": 1,
    "disable_existing_loggers": False,
    "formatters": {"json": {"()": _JsonLines}},
    "handlers": {"stderr": {"class": "logging.StreamHandler", "formatter": "json"}},
    "root": {"level": "WARNING", "handlers": ["stderr"]},
    "loggers": {"gunicorn.error": {"level": "INFO", "handlers": ["stderr"], "propagate": False}},
}


def post_worker_init(_worker: Any) -> None:  # noqa: ANN401 - gunicorn's own
    """Let a worker's lines pass the bridge's redaction: they may quote what a client sent."""
    log = logging.getLogger("gunicorn.error")
    log.handlers.clear()
    log.propagate = True


def worker_exit(_server: Any, worker: Any) -> None:  # noqa: ANN401 - gunicorn's own
    """Write the notes of the last second; a worker that never served has none."""
    if worker.booted:
        worker.wsgi.extensions["qlik-bridge"].close()


def child_exit(_server: Any, worker: Any) -> None:  # noqa: ANN401 - gunicorn's own
    """Take a dead worker out of what is told of live ones; what it counted stays counted."""
    from prometheus_client.multiprocess import mark_process_dead  # noqa: PLC0415 - not before the folder is named

    mark_process_dead(worker.pid)


def on_exit(_server: Any) -> None:  # noqa: ANN401 - gunicorn's own
    shutil.rmtree(os.environ[METRICS], ignore_errors=True)
