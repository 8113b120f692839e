"""Engine sessions: what one person selects and makes in one app, and the websockets that are linked to it."""

from __future__ import annotations

import secrets
import threading
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, NamedTuple

from bridge.sandbox.engine import calls_doc, calls_global, calls_object, calls_select, rpc
from bridge.sandbox.engine.layout import depends_on_selections
from bridge.sandbox.engine.rpc import INVALID_PARAMS, NO_METHOD, RpcError
from bridge.sandbox.engine.selections import Selections

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterable

    from bridge.sandbox.engine.app import App, Stored
    from bridge.sandbox.engine.rpc import Json, Request
    from bridge.sandbox.engine.table import Table


ENGINE = -1
METHODS = {
    "Global": calls_global.METHODS,
    "Doc": calls_doc.METHODS,
    "GenericObject": {**calls_object.OBJECT, **calls_select.OBJECT},
    "GenericVariable": calls_object.OBJECT,
    "GenericDimension": calls_object.DIMENSION,
    "GenericMeasure": calls_object.MEASURE,
    "Field": calls_select.FIELD,
}


class Target(NamedTuple):
    """What a handle stands for: a type of the engine's schema and an id."""

    type: str
    id: str


@dataclass
class Item:
    """A generic object in a session: one made in it, or a stored one with what the session patched in it."""

    id: str
    properties: Json
    stored: Stored | None = None
    search: str = ""

    @property
    def is_patched(self) -> bool:
        return self.stored is not None and self.properties is not self.stored.properties


class Session:
    """The state that all websockets of one person, app and identity share; guarded by its lock."""

    def __init__(self, app: App, subject: str, groups: Callable[[], Collection[str]]) -> None:
        self.app = app
        self.subject = subject
        self.groups = groups
        self.lock = threading.RLock()
        self.links: list[Link] = []
        self.items: dict[str, Item] = {}
        self.ends_at: float | None = None
        self._selections: Selections | None = None

    @property
    def selections(self) -> Selections:
        assert self._selections is not None, "handles exist only after open()"  # noqa: S101 - a broken engine
        return self._selections

    @property
    def table(self) -> Table:
        return self.selections.table

    def open(self) -> None:
        """Open the app. Section Access reduces it by the groups of this moment, for the life of the session."""
        if self._selections is not None:
            return
        table = self.app.rows_for(self.groups())
        if table is None:
            raise RpcError(rpc.ACCESS_DENIED, "Access denied", self.app.id)
        self._selections = Selections(replace(table, reader=self.subject))

    def find(self, object_id: str) -> Item | None:
        """Return an object of the session, or a stored one that its person may see."""
        if found := self.items.get(object_id):
            return found
        stored = self.app.find(object_id, self.subject)
        if stored is None:
            return None
        return self.items.setdefault(object_id, Item(object_id, stored.properties, stored))

    def create(self, properties: Json) -> Item:
        """Make a session object; one of the same id makes room."""
        given = properties.get("qInfo")
        info = dict(given) if isinstance(given, dict) else {}
        object_id = str(info.get("qId") or secrets.token_hex(4))
        item = Item(object_id, {**properties, "qInfo": {**info, "qId": object_id}})
        self.items[object_id] = item
        return item

    def touched_by_selections(self) -> set[str]:
        return {item.id for item in self.items.values() if depends_on_selections(item.properties)}


@dataclass(eq=False)
class Link:
    """One websocket's side of a session: its handles, and what its next answer says of them."""

    session: Session
    send: Callable[[str], None]
    handles: dict[int, Target] = field(default_factory=dict)
    changed: set[str] = field(default_factory=set)
    closed: set[int] = field(default_factory=set)

    def start(self, *, attached: bool = False) -> None:
        """Join the session and say whether it was there before. Qlik: OnConnected."""
        with self.session.lock:
            self.session.links.append(self)
            state = "SESSION_ATTACHED" if attached else "SESSION_CREATED"
            self.push(rpc.notification("OnConnected", {"qSessionState": state}))

    def leave(self) -> None:
        with self.session.lock:
            if self in self.session.links:
                self.session.links.remove(self)

    def handle_of(self, kind: str, ident: str) -> int:
        """Return the handle of a target, the same one each time."""
        target = Target(kind, ident)
        known = next((handle for handle, other in self.handles.items() if other == target), None)
        if known is None:
            known = max(self.handles, default=0) + 1
            self.handles[known] = target
        return known

    def drop(self, ident: str) -> None:
        """Forget the handles of an object that is no more."""
        gone = {handle for handle, target in self.handles.items() if target.id == ident}
        self.closed |= gone
        for handle in gone:
            del self.handles[handle]

    def push(self, message: Json) -> None:
        self.send(rpc.text_of(message))

    def receive(self, text: str | bytes) -> None:
        """Answer one message; whatever it is, the link lives on."""
        try:
            request = rpc.parse(text)
        except RpcError as error:
            self.push(rpc.failure(error.ident, error))
            return
        with self.session.lock:
            self.changed, self.closed = set(), set()
            answer = self._answer(request)
            self._tell_others()
            self.push(answer)

    def _answer(self, request: Request) -> Json:
        try:
            answer = rpc.success(request, self._call(request))
            rpc.text_of(answer)
        except RpcError as error:
            answer = rpc.failure(request.ident, error)
        except (ArithmeticError, AttributeError, LookupError, TypeError, ValueError, RecursionError):
            # Properties and parameters are free JSON: what cannot be calculated is the caller's error.
            answer = rpc.failure(request.ident, RpcError(INVALID_PARAMS, "Invalid parameters", request.method))
        return {**answer, **self.news(self.changed, self.closed)}

    def _call(self, request: Request) -> Json:
        target = Target("Global", "") if request.handle == ENGINE else self.handles.get(request.handle)
        if target is None:
            raise RpcError(INVALID_PARAMS, "Invalid handle", str(request.handle))
        method = METHODS[target.type].get(request.method)
        if method is None:
            raise RpcError(NO_METHOD, "Method not found", request.method)
        return method(self, target.id, request.params)

    def news(self, changed: Iterable[str], closed: Iterable[int]) -> Json:
        mine = sorted(handle for handle, target in self.handles.items() if target.id in set(changed))
        return {**({"change": mine} if mine else {}), **({"close": sorted(closed)} if closed else {})}

    def _tell_others(self) -> None:
        for link in self.session.links:
            if link is not self and (news := link.news(self.changed, ())):
                link.push({"jsonrpc": "2.0", **news})
