"""Each request has a seat, by which it can take a place behind the bulkhead, and which gives it back."""

from collections.abc import Iterable
from typing import TYPE_CHECKING

from bridge.services.bulkhead import Bulkhead

if TYPE_CHECKING:
    from _typeshed.wsgi import StartResponse, WSGIApplication, WSGIEnvironment


class Seated:
    """A WSGI application around another: outside of Flask, so that no error there can keep a place for ever."""

    def __init__(self, app: "WSGIApplication", bulkhead: Bulkhead) -> None:
        self._app = app
        self._bulkhead = bulkhead

    def __call__(self, environ: "WSGIEnvironment", start_response: "StartResponse") -> Iterable[bytes]:
        with self._bulkhead.seat():
            return self._app(environ, start_response)
