"""Conversations with the engine in this process, without a socket."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from bridge.sandbox.engine import App, Link, Session
from bridge.sandbox.engine.content import RETAIL, apps

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

Json = dict[str, Any]

GLOBAL = -1
GROUPS = {"alice": ["Finance", "EMEA"], "bob": ["Sales", "AMER"], "carol": [], "erin": ["bridge-admins"]}
WHOLE_PAGE = {"qLeft": 0, "qTop": 0, "qWidth": 10, "qHeight": 1000}


def retail(slug: str = "acme") -> App:
    return next(app for app in apps(slug).values() if app.name == RETAIL)


def session_of(subject: str, app: App | None = None) -> Session:
    return Session(app or retail(), subject, lambda: GROUPS[subject])


class Conversation:
    """One side of a session: asks, and keeps what it was sent without asking."""

    def __init__(self, session: Session | str) -> None:
        self.session = session_of(session) if isinstance(session, str) else session
        self.sent: list[Json] = []
        self.link = Link(self.session, lambda text: self.sent.append(json.loads(text)))
        self.link.start()
        self.asked = 0
        self.doc: int = self.ok(GLOBAL, "OpenDoc", self.session.app.id)["qReturn"]["qHandle"]

    def say(self, text: str | bytes) -> Json:
        self.link.receive(text)
        return self.sent.pop()

    def ask(self, handle: int, method: str, *params: object, **more: object) -> Json:
        """Return the whole answer."""
        self.asked += 1
        call = {"jsonrpc": "2.0", "id": self.asked, "handle": handle, "method": method, "params": params}
        answer = self.say(json.dumps({**call, **more}))
        assert answer["id"] == self.asked
        return answer

    def ok(self, handle: int, method: str, *params: object) -> Json:
        answer = self.ask(handle, method, *params)
        assert "error" not in answer, answer
        return dict(answer["result"])

    def error(self, handle: int, method: str, *params: object) -> int:
        return int(self.ask(handle, method, *params)["error"]["code"])

    def get(self, object_id: str) -> int:
        return int(self.ok(self.doc, "GetObject", object_id)["qReturn"]["qHandle"])

    def field(self, name: str) -> int:
        return int(self.ok(self.doc, "GetField", name)["qReturn"]["qHandle"])

    def make(self, **properties: object) -> int:
        made = self.ok(self.doc, "CreateSessionObject", {"qInfo": {"qType": "test"}, **properties})
        return int(made["qReturn"]["qHandle"])

    def layout(self, handle: int) -> Json:
        return dict(self.ok(handle, "GetLayout")["qLayout"])

    def cube(self, dimensions: Iterable[str], measures: Iterable[str], **more: object) -> int:
        """Make a hypercube of fields and expressions."""
        definition = {
            "qDimensions": [{"qDef": {"qFieldDefs": [name]}} for name in dimensions],
            "qMeasures": [{"qDef": {"qDef": expression}} for expression in measures],
            **more,
        }
        return self.make(qHyperCubeDef=definition)

    def rows(self, handle: int) -> list[list[Json]]:
        pages = self.ok(handle, "GetHyperCubeData", "/qHyperCubeDef", [WHOLE_PAGE])["qDataPages"]
        return list(pages[0]["qMatrix"])

    def texts(self, handle: int) -> list[list[str]]:
        return [[cell["qText"] for cell in row] for row in self.rows(handle)]

    def select(self, name: str, *values: str) -> Json:
        wanted = [{"qText": value} for value in values]
        return self.ask(self.field(name), "SelectValues", wanted, False)


def column(rows: list[list[str]], at: int = 0) -> list[str]:
    return [row[at] for row in rows]


def added(rows: Iterable[Json], name: str, by: Callable[[Json], object]) -> dict[object, int]:
    """Add a field of the app's rows up, without the engine."""
    sums: dict[object, int] = {}
    for row in rows:
        sums[by(row)] = sums.get(by(row), 0) + row[name]
    return sums
