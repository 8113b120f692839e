"""The engine's websockets at /app/{id}: who may open one, the conversation, and how it ends."""

# mypy: disable-error-code="import-untyped"
# flask-sock and simple-websocket ship no types.

from __future__ import annotations

import contextlib
import re
import socket
import threading
import uuid
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from flask import Blueprint, Flask, current_app, g, request
from flask_sock import Sock
from simple_websocket import ConnectionClosed
from wsproto.events import CloseConnection
from wsproto.utilities import LocalProtocolError

from bridge.sandbox import auth, faults, licenses, spaces
from bridge.sandbox.engine import Link, Session
from bridge.sandbox.errors import ApiError
from bridge.sandbox.guarded import guard
from bridge.sandbox.tenant import Tenant, here

if TYPE_CHECKING:
    from simple_websocket import Server

    from bridge.sandbox.state import Call, Fault, User

routes = Blueprint("sockets", __name__)
sock = Sock()

OPTIONS = {
    "ping_interval": 25,
    "max_message_size": 1_000_000,
    "receive_bytes": 65_536,  # more than a TLS record: what a smaller read left behind would wait for the next ping
}
ADDRESSES = ("", "/identity/<identity>", "/ttl/<int:ttl>", "/identity/<identity>/ttl/<int:ttl>")
LONGEST_TTL_S = 86_400
CLOSING_S = 2.0
LOOK_UP_S = 1.0
"""How often to see whether the connection is still there: simple-websocket can wake us before it says that it ended."""
VERSION = "13"
KEY_PATTERN = re.compile(r"[A-Za-z0-9+/]{22}==")
GOING_AWAY, FAILED, NO_PERMISSION, NO_APP = 1001, 1011, 4203, 4204
REASONS = {
    GOING_AWAY: "Going away",
    4000: "Manually suspended",
    4001: "Idle for too long",
    4002: "No licence",
    4003: "The engine is in terminating state",
    4004: "The app was deleted",
    4005: "Session limit reached",
    4006: "Authentication failed",
    4007: "The mode of the session changed",
    NO_PERMISSION: "No permission to open the app",
    NO_APP: "App not found",
    4205: "Too many requests",
}
ENDING = {4003, 4004}
"""With these codes the engine or the app is gone, and so is the session, whatever its time to live."""
GROUP_KINDS = {0: {"idp"}, 1: {"custom"}, 2: {"idp", "custom"}}

GONE = (ConnectionClosed, LocalProtocolError, OSError)
"""What sending meets when the connection ended, or is ending in another thread."""

Key = tuple[str, str, str]
"""What makes a session: the app, the user and the identity of the address."""


@dataclass(eq=False)
class OpenSocket:
    """A websocket and who is behind it. Its lock lets other threads send and close."""

    ws: Server
    key: Key
    user: User
    how: str
    opened_at: float
    lock: threading.Lock = field(default_factory=threading.Lock)
    is_ended: bool = False

    def send(self, text: str) -> None:
        """Send, or leave it when the other side is gone: the thread that receives learns that by itself."""
        with self.lock, contextlib.suppress(*GONE):
            self.ws.send(text)

    def close(self, code: int) -> None:
        if not self.lock.acquire(timeout=CLOSING_S):
            self.hang_up()  # somebody is stuck sending to a client that does not read
            return
        try:
            self.is_ended = True
            with contextlib.suppress(*GONE):
                # Not by its own close(): the thread that receives would hang up before the other side has read this.
                self.ws.sock.send(self.ws.ws.send(CloseConnection(code, REASONS.get(code, ""))))
        finally:
            self.lock.release()
            self.ws.event.set()  # wakes the thread that receives

    def hang_up(self) -> None:
        """End the connection without a word; the other side calls that 1006."""
        with contextlib.suppress(OSError):
            self.ws.sock.shutdown(socket.SHUT_RDWR)

    def linger(self) -> None:
        """Wait for the other side to answer a close: hanging up earlier can lose the code on its way."""
        self.ws.thread.join(CLOSING_S)
        self.hang_up()


def install(app: Flask) -> None:
    app.config["SOCK_SERVER_OPTIONS"] = OPTIONS
    app.register_blueprint(routes)


def is_upgrade(environ: dict[str, Any]) -> bool:
    return str(environ.get("HTTP_UPGRADE", "")).lower() == "websocket" and environ["PATH_INFO"].startswith("/app/")


def check_handshake() -> None:
    """Refuse what cannot become a websocket while it can still be said in HTTP."""
    headers = request.headers
    if headers.get("Sec-WebSocket-Version") != VERSION:
        raise ApiError(426, "HTTP-426", "Upgrade Required", headers={"Sec-WebSocket-Version": VERSION})
    if not KEY_PATTERN.fullmatch(headers.get("Sec-WebSocket-Key", "")):
        raise ApiError(400, "HTTP-400", "Bad Request", "Sec-WebSocket-Key is not 16 bytes in base64")


@routes.before_request
def guard_connection() -> None:
    guard(request.environ)


def serve(ws: Server, app_id: str, identity: str = "", ttl: int = 0) -> None:
    """Hold one websocket from upgrade to close. Flask has let in only whom `auth.identify_websocket` knows."""
    tenant, principal = here(), g.principal
    call: Call = request.environ[faults.CALL]
    call.status, call.client, call.user = 101, g.get("client"), g.get("user")
    key = (app_id, principal.user.id, session_name(tenant, identity))
    opened = OpenSocket(ws, key, principal.user, principal.how, tenant.now())
    try:
        if is_dropped():
            opened.hang_up()
        elif code := refusal(tenant, principal, app_id):
            opened.close(code)
        else:
            converse(tenant, opened, min(ttl, LONGEST_TTL_S))
    except ConnectionClosed:
        pass
    except Exception:
        # Not let through to Flask, which would send a page into the websocket.
        current_app.logger.exception("the engine failed")
        opened.close(FAILED)
    opened.linger()


for number, address in enumerate(ADDRESSES):
    sock.route(f"/app/<app_id>{address}", bp=routes, endpoint=f"engine{number}")(serve)


def session_name(tenant: Tenant, identity: str) -> str:
    """Return the identity that parts a person's sessions in one app; the default session has the empty name."""
    return identity or ("" if tenant.switches.default_session == "shared" else uuid.uuid4().hex)


def is_dropped() -> bool:
    fault: Fault | None = request.environ.get(faults.FAULT)
    return fault is not None and fault.drop == "after"


def refusal(tenant: Tenant, principal: auth.Principal, app_id: str) -> int | None:
    """Return the code to close with at once, be it for a fault that asks for one."""
    fault: Fault | None = request.environ.get(faults.FAULT)
    if fault and fault.close:
        return fault.close
    with tenant.world.lock:
        item = next((item for item in tenant.memory.items.values() if item.resource_id == app_id), None)
        if item is None or app_id not in tenant.apps:
            return NO_APP
        space = tenant.memory.spaces.get(item.space_id)
        may_open = space is not None and not spaces.OPENING.isdisjoint(spaces.roles_in(tenant, principal, space))
        return None if may_open else NO_PERMISSION


def converse(tenant: Tenant, opened: OpenSocket, ttl: int) -> None:
    """Answer messages until one side closes."""
    with tenant.world.lock:
        licenses.take(tenant, opened.user)
        session, attached = _join(tenant, opened)
    link = Link(session, opened.send)
    try:
        link.start(attached=attached)
        while not opened.is_ended:
            if (message := opened.ws.receive(LOOK_UP_S)) is not None:
                link.receive(message)
    finally:
        link.leave()
        with tenant.world.lock:
            _leave(tenant, opened, session, ttl)


def _join(tenant: Tenant, opened: OpenSocket) -> tuple[Session, bool]:
    """Return the session of the socket's key and whether it was there before. Its time to live stops running."""
    session = tenant.sessions.get(opened.key)
    attached = session is not None and (session.ends_at is None or session.ends_at > tenant.now())
    if session is None or not attached:
        user = opened.user
        session = Session(tenant.apps[opened.key[0]], user.subject, lambda: group_names(tenant, user.id))
        tenant.sessions[opened.key] = session
    session.ends_at = None
    tenant.sockets.append(opened)
    return session, attached


def _leave(tenant: Tenant, opened: OpenSocket, session: Session, ttl: int) -> None:
    """End the session with its last socket, or `ttl` seconds later."""
    tenant.sockets.remove(opened)
    if tenant.sessions.get(opened.key) is not session or any(other.key == opened.key for other in tenant.sockets):
        return
    session.ends_at = tenant.now() + ttl
    if not ttl:
        del tenant.sessions[opened.key]


def group_names(tenant: Tenant, user_id: str) -> set[str]:
    """Return the groups that count for Section Access; `group_mode` says of which kind they are."""
    with tenant.world.lock:
        user = tenant.memory.users.get(user_id)
        kinds = GROUP_KINDS[int(tenant.switches.group_mode)]
        return {group.name for group in tenant.groups_of(user) if group.provider_type in kinds} if user else set()


def close_all(tenant: Tenant, code: int, subject: str | None = None) -> int:
    """Close every websocket, or those of one person; return how many."""
    chosen = [opened for opened in tenant.sockets if subject in (None, opened.user.subject)]
    for opened in chosen:
        if code in ENDING:
            tenant.sessions.pop(opened.key, None)
        opened.close(code)
    return len(chosen)
