"""No statement of the request path, of a sweep or of a background job reads a growing table from end to end.

The statements are those that the stores really send; each is explained by the database that got it.
"""

import json
import re
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from fakes import FakeClock
from questions import everything
from sqlalchemy import Connection, Engine, event, text
from stores import sql_stores

from bridge.adapters.sql import Database, SqlImpersonations
from bridge.adapters.vault import Vault

GROWING = {
    "assertions",
    "audit",
    "decisions",
    "history",
    "history_people",
    "impersonations",
    "jwt_uses",
    "leases",
    "measured_counts",
    "measured_people",
    "parity_baselines",
    "parity_results",
    "sessions",
    "subjects",
    "tokens",
}
"""Tables with a row for a person, for a thing that happened, or for both."""


@contextmanager
def sent() -> Iterator[list[tuple[str, Any]]]:
    """Note every statement that a database is sent, with its parameters."""
    noted: list[tuple[str, Any]] = []

    def note(_connection: object, _cursor: object, statement: str, parameters: Any, *_: object) -> None:  # noqa: ANN401
        noted.append((statement, parameters[0] if isinstance(parameters, list) else parameters))

    event.listen(Engine, "before_cursor_execute", note)
    yield noted
    event.remove(Engine, "before_cursor_execute", note)


def scans(connection: Connection, statement: str, parameters: Any) -> list[str]:  # noqa: ANN401
    """Return which growing tables the database would read from end to end."""
    if connection.dialect.name == "sqlite":
        plan = connection.exec_driver_sql(f"EXPLAIN QUERY PLAN {statement}", parameters).all()
        found = re.findall(r"\bSCAN (\w+)", "\n".join(row[3] for row in plan))
    else:
        plan = connection.exec_driver_sql(f"EXPLAIN (FORMAT JSON) {statement}", parameters).scalar_one()
        found = re.findall(r'"Node Type": "Seq Scan".*?"Relation Name": "(\w+)"', json.dumps(plan))
    return [name for name in found if name in GROWING]


ORDERED = {"trail", "trail of an action", "trail of an actor", "trail of a tenant"}
"""Read by the order of a key until the page is full: a scan that ends early is none."""


def test_nothing_reads_a_growing_table_from_end_to_end(database: Database, vault: Vault, clock: FakeClock) -> None:
    stores = sql_stores(database, vault, clock)
    found: dict[str, list[tuple[str, str]]] = {}
    for name, ask in everything(stores, SqlImpersonations(database)).items():
        with sent() as statements:
            ask()
        assert statements, name
        with database.reading() as connection:
            if connection.dialect.name == "postgresql":  # of an empty table it would else read what little there is
                connection.execute(text("SET LOCAL enable_seqscan = off"))
            for statement, parameters in statements:
                if statement.lstrip().upper().startswith(("SELECT", "INSERT", "UPDATE", "DELETE")):
                    read = [] if name in ORDERED else scans(connection, statement, parameters)
                    found |= {name: [*found.get(name, []), *((each, statement) for each in read)]} if read else {}
    assert found == {}
