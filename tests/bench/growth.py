"""What the bridge costs as its database fills: `python -m bench.growth [--sizes 1000,1000000] [--url ...]`, as JSON.

Asked without sockets, one request after the other: what grows is the product's own time, and noise meets every size
alike, because the sizes take turns.
"""

import argparse
import hashlib
import json
import os
import random
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from itertools import islice
from pathlib import Path
from statistics import median
from typing import Any, cast

from sqlalchemy import Table
from werkzeug.test import EnvironBuilder, run_wsgi_app

from bridge.adapters.sql import Database, SqlRenewals, SqlSessions, SqlSubjects, SqlTokens, open_database
from bridge.adapters.sql.tables import SESSIONS, SUBJECTS, TOKENS
from bridge.adapters.vault import Vault
from bridge.bootstrap import Bridge, build
from bridge.model import AuditEvent, Identity, Rollout, Stage, Subject, Tenant
from bridge.settings import read_settings
from bridge.telemetry import configure_logging
from bridge.web import create_app

SIZES = (1_000, 10_000, 100_000, 1_000_000)
ROUNDS, ASKED = 30, 50
IN_PROCESS = 10_000
AT_ONCE = 20_000
GROUPS = ("EMEA", "Finance", "Pilots")
TOKEN = "eyJ" + "t" * 1_100  # as long as Qlik's
KEY = "bWVhc3VyZWQtYnktYmVuY2gtYW5kLWJ5LW5vYm9keS4="
WARM, LOOK_UP, SIGN_IN, RENEWALS, CONSOLE, PERSON = "warm", "look_up", "sign_in", "renewals", "console", "person"


ACME = Tenant.model_validate(
    {
        "slug": "acme",
        "name": "Acme",
        "host": "https://acme.example.com",
        "admits": ["header"],
        "issuer": "portal",
        "key_id": "kid",
        "signing_key": "acme.pem",
        "web_integration_id": "web",
        "issuing_client": {"id": "client", "secret": "secret"},
    }
)


@dataclass(frozen=True, slots=True)
class Row:
    """The costs at one size: milliseconds at p50, by what was asked; seconds to fill; megabytes on disk."""

    people: int
    fill_s: float
    stored_mb: float
    p50_ms: dict[str, float]


@dataclass(frozen=True, slots=True)
class Growth:
    """What `measure` found. `rss_mb`: a worker's memory before and after that many people had asked it."""

    rows: list[Row]
    in_process: int
    rss_mb: dict[str, float]
    load_average: float

    def ratio(self, what: str) -> float:
        """Return how much more the largest database costs than the smallest."""
        return self.rows[-1].p50_ms[what] / self.rows[0].p50_ms[what]


def settings(url: str) -> dict[str, str]:
    return {
        "BRIDGE_SECRET_KEY": "x" * 32,
        "BRIDGE_ENCRYPTION_KEYS": KEY,
        "BRIDGE_PUBLIC_URL": "http://localhost:8000",
        "BRIDGE_DATABASE_URL": url,
        "BRIDGE_IDENTITY": "header",
        "BRIDGE_TRUSTED_PROXIES": "10.0.0.0/8",
        "BRIDGE_ADMIN_GROUPS": "header:Admins",
        "BRIDGE_LOG_LEVEL": "error",
        "BRIDGE_RENEWAL_AHEAD_MINUTES": "0",  # there is no tenant to ask
        "BRIDGE_SUBJECT_REQUESTS_PER_MINUTE": "100000000",
        "BRIDGE_ADDRESS_REFUSALS_PER_MINUTE": "100000000",
    }


def bearer(number: int) -> str:
    return f"qbs_person-{number}"


def fill(url: str, people: int) -> float:
    """Put so many people into a new database, each with a sync, a session and a token; return the seconds it took."""
    started = time.monotonic()
    bridge = build(read_settings(settings(url)))
    made = AuditEvent(time.time(), "bench", "tenant.create", "acme", "", None, None)
    bridge.tenants.save(ACME, starting_at=Rollout(Stage.OAUTH), event=made)
    bridge.close()
    database, now = open_database(url), time.time()
    _insert(database, SUBJECTS, (_subject(number, now) for number in range(people)))
    _insert(database, SESSIONS, (_session(number, now) for number in range(people)))
    sealed = Vault([KEY]).seal(TOKEN)
    _insert(database, TOKENS, (_token(number, now, sealed) for number in range(people)))
    with database.writing() as connection:
        connection.exec_driver_sql("ANALYZE")
    database.close()
    return time.monotonic() - started


def _insert(database: Database, table: Table, rows: Iterator[dict[str, Any]]) -> None:
    """Insert first and index after, which takes half the time."""
    with database.writing() as connection:
        if connection.dialect.name == "sqlite":
            connection.exec_driver_sql("PRAGMA cache_size = -400000")
        for index in table.indexes:
            index.drop(connection)
        while chunk := list(islice(rows, AT_ONCE)):
            connection.execute(table.insert(), chunk)
        for index in table.indexes:
            index.create(connection)


def _subject(number: int, now: float) -> dict[str, Any]:
    sub = f"person-{number}"
    fingerprint = _known(number).fingerprint()
    return {
        "tenant": "acme",
        "sub": sub,
        "name": f"Name of {sub}",
        "email": f"{sub}@example.com",
        "groups": GROUPS,
        "fingerprint": fingerprint,
        "asserted_at": now - 60,
        "user_id": f"id-of-{sub}",
        "synced_fingerprint": fingerprint,
        "synced_groups": GROUPS,
        "synced_at": now - 60,
        "browser_login_until": 0.0,
    }


def _known(number: int) -> Subject:
    sub = f"person-{number}"
    return Subject(sub, f"Name of {sub}", f"{sub}@example.com", frozenset(GROUPS))


def _session(number: int, now: float) -> dict[str, Any]:
    sub = f"person-{number}"
    return {
        "id_hash": hashlib.sha256(bearer(number).encode()).hexdigest(),
        "sub": sub,
        "name": f"Name of {sub}",
        "email": f"{sub}@example.com",
        "groups": GROUPS,
        "source": "header",
        "issuer": "",
        "asserted_at": now - 60,
        "tenant": None,
        "created_at": now,
        "seen_at": now,
    }


def _token(number: int, now: float, sealed: bytes) -> dict[str, Any]:
    """Return a token with two hours to six of life: there is always one that ends next."""
    key = ACME.token_key(f"person-{number}")
    life_s = 7_200 + number * 7 % 14_000
    return {
        "slot": key.digest(),
        "doomed": False,
        "token_id": f"token-{number}",
        "tenant": key.tenant,
        "client_id": key.client_id,
        "sub": key.sub,
        "key_scope": key.scope,
        "credential_revision": key.credential_revision,
        "sealed": sealed,
        "scope": key.scope,
        "issued_at": now - 60,
        "expires_at": now + life_s,
        "seen_at": now - number % 36_000,
        "renewing_until": 0.0,
    }


class Filled:
    """A full database, and how to ask it."""

    def __init__(self, url: str, people: int) -> None:
        self.people = people
        self.fill_s = fill(url, people)
        configure_logging("error")
        self._bridge: Bridge = build(read_settings(settings(url)))
        self._app = create_app(self._bridge)
        self._database = open_database(url)
        self._admin = self._bridge.operators.new_token("bench", actor="bench")
        self._stores = (SqlSessions(self._database), SqlSubjects(self._database))
        self._tokens = SqlTokens(self._database, Vault([KEY]), time.time)
        self._renewals = SqlRenewals(self._database)
        self._chance = random.Random(people)  # noqa: S311 - the same people each time
        self._strangers = 0
        self.questions: dict[str, Callable[[], object]] = {
            WARM: lambda: self.ask(self._chance.randrange(100)),
            LOOK_UP: self._look_up,
            SIGN_IN: self._sign_in,
            RENEWALS: self._due,
            CONSOLE: lambda: self._look("/admin/tenants/acme"),
            PERSON: lambda: self._look(f"/api/v1/tenants/acme/people/person-{self._anybody()}"),
        }
        for number in range(100):
            self.ask(number)

    def close(self) -> None:
        self._bridge.close()
        self._database.close()

    def ask(self, number: int) -> None:
        """Ask for somebody's token, as their page does."""
        answer = self._call("POST", "/t/acme/access-token", bearer(number))
        if answer != TOKEN.encode():
            raise SystemExit(f"no token for person-{number}: {answer[:200]!r}")

    def _look(self, path: str) -> None:
        answer = self._call("GET", path, self._admin)
        if b"acme" not in answer:
            raise SystemExit(f"{path}: {answer[:200]!r}")

    def _call(self, method: str, path: str, value: str) -> bytes:
        body, _, _ = run_wsgi_app(self._app, _environ(method, path, value))
        return b"".join(body)

    def _anybody(self) -> int:
        return self._chance.randrange(self.people)

    def _look_up(self) -> None:
        number = self._anybody()
        sessions, subjects = self._stores
        found = (
            sessions.get(hashlib.sha256(bearer(number).encode()).hexdigest()),
            subjects.get("acme", f"person-{number}"),
            self._tokens.get(ACME.token_key(f"person-{number}")),
        )
        if None in found:
            raise SystemExit(f"person-{number} is not whole: {found}")

    def _sign_in(self) -> None:
        self._strangers += 1
        subject = Subject(f"stranger-{self._strangers}", "Stranger", "", frozenset(GROUPS))
        self._bridge.sessions.open(Identity(subject, "header", "", time.time()))

    def _due(self) -> None:
        now = time.time()
        self._renewals.due("acme", now=now, before=now + 9_000, seen_since=now - 3600, limit=200)


DEAR = {CONSOLE: 1, RENEWALS: 2, SIGN_IN: 5, PERSON: 5}
"""What is asked less often than the rest, so that a measurement ends."""


def measure(home: Path, sizes: Sequence[int] = SIZES, url: str = "") -> Growth:
    """Fill a database of each size and ask them all in turns. *url* with `{people}` in it: elsewhere than in SQLite."""
    filled = [Filled(url.format(people=size) or f"sqlite:///{home}/{size}.db", size) for size in sizes]
    took: dict[tuple[int, str], list[float]] = {(each.people, what): [] for each in filled for what in each.questions}
    for number in range(ROUNDS):
        for each in filled if number % 2 else filled[::-1]:
            for what, question in each.questions.items():
                took[each.people, what] += _timed(question, DEAR.get(what, ASKED))
    rows = [
        Row(
            each.people,
            round(each.fill_s, 1),
            round(sum(path.stat().st_size for path in home.glob(f"{each.people}.db*")) / 1e6, 1),
            {what: round(median(took[each.people, what]), 4) for what in each.questions},
        )
        for each in filled
    ]
    for each in filled:
        each.close()
    largest = url.format(people=sizes[-1]) or f"sqlite:///{home}/{sizes[-1]}.db"
    return Growth(rows, min(IN_PROCESS, sizes[-1]), memory(largest, min(IN_PROCESS, sizes[-1])), os.getloadavg()[0])


def _timed(question: Callable[[], object], times: int) -> list[float]:
    found = []
    for _ in range(times):
        started = time.perf_counter()
        question()
        found.append((time.perf_counter() - started) * 1000)
    return found


def memory(url: str, people: int) -> dict[str, float]:
    """Return a new process's memory (megabytes) before and after so many people asked it for their tokens."""
    command = [sys.executable, "-m", "bench.growth", "--worker", url, "--sizes", str(people)]
    told = subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True).stdout
    return cast("dict[str, float]", json.loads(told.splitlines()[-1]))


def worker(url: str, people: int) -> dict[str, float]:
    with _asked(url) as ask:
        before = _rss_mb()
        for number in range(people):
            ask(number)
        return {"before": before, "after": _rss_mb()}


@contextmanager
def _asked(url: str) -> Iterator[Callable[[int], None]]:
    configure_logging("info")
    bridge = build(read_settings(settings(url)))
    app = create_app(bridge)

    def ask(number: int) -> None:
        _, status, _ = run_wsgi_app(app, _environ("POST", "/t/acme/access-token", bearer(number)))
        if status != "200 OK":
            raise SystemExit(f"no token for person-{number}: {status}")

    yield ask
    bridge.close()


def _environ(method: str, path: str, value: str) -> dict[str, Any]:
    environ = EnvironBuilder(path=path, method=method).get_environ()
    environ["HTTP_AUTHORIZATION"] = f"Bearer {value}"
    return environ


def _rss_mb() -> float:
    lines = Path("/proc/self/status").read_text().splitlines()
    return round(next(int(line.split()[1]) for line in lines if line.startswith("VmRSS")) / 1024, 1)


def main() -> None:
    parser = argparse.ArgumentParser(prog="bench.growth")
    parser.add_argument("--sizes", default=",".join(map(str, SIZES)), help="people, comma separated")
    parser.add_argument("--url", default="", help="databases elsewhere, `{people}` in the name; default: SQLite")
    parser.add_argument("--worker", default="", help=argparse.SUPPRESS)
    options = parser.parse_args()
    sizes = [int(size) for size in options.sizes.split(",")]
    if options.worker:
        found: dict[str, Any] = worker(options.worker, sizes[0])
    else:
        with tempfile.TemporaryDirectory(prefix="growth-") as folder:
            found = asdict(measure(Path(folder), sizes, options.url))
    sys.stdout.write(json.dumps(found) + "\n")


if __name__ == "__main__":
    main()
