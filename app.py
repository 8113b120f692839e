"""The WSGI door: `gunicorn app:app`."""

import os
import sys

from bridge import bootstrap, errors, settings, telemetry, web

try:
    configuration = settings.read_settings(os.environ)
    telemetry.configure_logging(configuration.log_level)
    app = web.create_app(bootstrap.build(configuration))
except errors.BridgeError as error:
    sys.stderr.write("\n".join(filter(None, [str(error), error.detail])) + "\n")
    sys.exit(4)  # gunicorn's own "app failed to load": any other status makes it start workers for ever
