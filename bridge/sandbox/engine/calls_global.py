"""The methods of the engine itself, on handle -1."""

from __future__ import annotations

from typing import TYPE_CHECKING

from bridge.sandbox.engine.methods import Method, returned, text
from bridge.sandbox.engine.rpc import APP_NOT_FOUND, APP_NOT_OPEN, RpcError

if TYPE_CHECKING:
    from bridge.sandbox.engine.rpc import Json
    from bridge.sandbox.engine.session import Link

VERSION = "12.2027.0"


def open_doc(link: Link, _ident: str, app_id: object) -> Json:
    """Open the app of the websocket's address, again as well: a client that attaches to a session does that."""
    if text(app_id, "qDocName") != link.session.app.id:
        raise RpcError(APP_NOT_FOUND, "App not found", str(app_id))
    link.session.open()
    return returned(link, "Doc", link.session.app.id)


def get_active_doc(link: Link, _ident: str) -> Json:
    if not any(target.type == "Doc" for target in link.handles.values()):
        raise RpcError(APP_NOT_OPEN, "App not open")
    return returned(link, "Doc", link.session.app.id)


def engine_version(_link: Link, _ident: str) -> Json:
    return {"qVersion": {"qComponentVersion": VERSION}}


def product_version(_link: Link, _ident: str) -> Json:
    return {"qReturn": VERSION}


def get_authenticated_user(link: Link, _ident: str) -> Json:
    return {"qReturn": link.session.subject}


def get_progress(_link: Link, _ident: str) -> Json:
    """Return the end of a task: all of the sandbox's are over before anybody can ask."""
    return {
        "qProgressData": {
            "qStarted": True,
            "qFinished": True,
            "qCompleted": 0,
            "qTotal": 0,
            "qKB": 0,
            "qMillisecs": 0,
            "qUserInteractionWanted": False,
            "qPersistentProgress": "",
            "qTransientProgress": "",
            "qErrorData": [],
            "qPersistentProgressMessages": [],
            "qTransientProgressMessage": {"qMessageCode": 0, "qMessageParameters": []},
        }
    }


def answer_no(_link: Link, _ident: str) -> Json:
    return {"qReturn": False}


def do_nothing(_link: Link, _ident: str) -> Json:
    return {}


METHODS = {
    "OpenDoc": Method(open_doc, "qDocName"),
    "GetActiveDoc": Method(get_active_doc),
    "EngineVersion": Method(engine_version),
    "ProductVersion": Method(product_version),
    "GetAuthenticatedUser": Method(get_authenticated_user),
    "GetProgress": Method(get_progress),
    "IsDesktopMode": Method(answer_no),
    "IsPersonalMode": Method(answer_no),
    "CancelRequest": Method(do_nothing),
    "AbortRequest": Method(do_nothing),
    "AbortAll": Method(do_nothing),
}
