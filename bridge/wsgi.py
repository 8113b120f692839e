"""The application as a server imports it: built from the environment, or an end that says why not."""

import os
import sys
import time
from typing import NoReturn

from flask import Flask

from bridge import bootstrap, errors, settings, telemetry, web

APP_FAILED_TO_LOAD = 4
"""What makes gunicorn stop as a whole; after any other status it starts the next worker."""
TRY_AGAIN = 75
STORE_REST_S = 2.0


def _application() -> Flask:
    configuration = settings.read_settings(os.environ)
    telemetry.configure_logging(configuration.log_level)
    bridge = bootstrap.build(configuration)
    found = web.create_app(bridge)
    bridge.keeper.start()  # a worker that nobody asks must hear of changes, too
    return found


def _end(error: errors.BridgeError) -> NoReturn:
    """End this worker; while the store is away the others go on with what they know, so it may be tried again."""
    sys.stderr.write("\n".join(filter(None, [str(error), error.detail])) + "\n")
    if isinstance(error, errors.StoreError):
        time.sleep(STORE_REST_S)
        sys.exit(TRY_AGAIN)
    sys.exit(APP_FAILED_TO_LOAD)


try:
    app = _application()
except errors.BridgeError as problem:
    _end(problem)
