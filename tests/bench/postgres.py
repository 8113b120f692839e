"""The PostgreSQL that several machines share; it writes to the disk as one in production does."""

from contextlib import AbstractContextManager

import postgreskit

from bench.ground import NotMeasured


def postgresql() -> AbstractContextManager[str]:
    """Start a server for as long as it is needed; yield the URL of its database."""
    programs = postgreskit.tools()
    if programs is None:
        raise NotMeasured(postgreskit.MISSING)
    return postgreskit.postgresql(programs)
