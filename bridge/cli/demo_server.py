"""gunicorn's settings for the demo: one worker, and an end with the process that started it."""

import os
import signal
import threading
import time

worker_class = "gthread"
workers = 1  # what one request changes, the next one sees
threads = 16
loglevel = "warning"
limit_request_field_size = 32_768  # an assertion may carry hundreds of groups
control_socket_disable = True

PARENT = os.getppid()
LOOK_EVERY_S = 0.5


def when_ready(_server: object) -> None:
    """Watch the parent: killed outright, it could not stop us."""
    threading.Thread(target=_end_with_parent, daemon=True).start()


def _end_with_parent() -> None:
    while os.getppid() == PARENT:
        time.sleep(LOOK_EVERY_S)
    os.kill(os.getpid(), signal.SIGTERM)
