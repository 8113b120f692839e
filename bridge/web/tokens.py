"""`POST /t/<tenant>/access-token`: what its answer holds, and the short way to it for who has a token already."""

import re
from functools import lru_cache
from typing import TYPE_CHECKING, NamedTuple

import orjson
from werkzeug.datastructures import MIMEAccept
from werkzeug.http import parse_accept_header
from werkzeug.sansio.http import parse_cookie

from bridge.bootstrap import Bridge
from bridge.memory import memory_alone
from bridge.model import IssuedToken, Path
from bridge.services.sessions import PREFIX
from bridge.telemetry import Step, timed
from bridge.web import cookies, csrf, identity, proxies
from bridge.web.allowances import Allowances
from bridge.web.current import About, Headers
from bridge.web.identity import Caller
from bridge.web.times import iso

if TYPE_CHECKING:
    from _typeshed.wsgi import WSGIEnvironment

TEXT, JSON = "text/plain; charset=utf-8", "application/json"
ROUTE = "/t/<tenant>/access-token"
ADDRESS = re.compile(r"/t/([a-z0-9-]+)/access-token")
HOST = re.compile(r"([\w-]{1,63}(\.[\w-]{1,63})*|\[[\da-fA-F:.]+\])(:\d+)?", re.ASCII)


class Answer(NamedTuple):
    """An answer of 200."""

    headers: Headers
    body: bytes


def written(token: IssuedToken, accept: str | None, now: float) -> Answer:
    """Write a token as JSON or as text, whichever is wanted more; the pages of Qlik's sample expect text."""
    if _prefers_json(accept):
        document = {
            "access_token": token.value,
            "token_type": "bearer",
            "expires_in": max(0, round(token.expires_at - now)),
            "expires_at": iso(token.expires_at),
            "scope": token.scope,
        }
        kind, body = JSON, orjson.dumps(document)
    else:
        kind, body = TEXT, token.value.encode()
    return Answer([("Content-Type", kind), ("Content-Length", str(len(body))), ("Token-Id", token.token_id)], body)


@lru_cache(100)
def _prefers_json(accept: str | None) -> bool:
    types = parse_accept_header(accept, MIMEAccept)
    return types["application/json"] > types["text/plain"]


class ShortWay:
    """Answers before Flask looks at a request whose answer is in memory, which is nearly every one.

    Nothing is decided here. Who asks, whether they are admitted and how often, on which path they are and whether the
    token will do: that is asked of those who decide it for every request. Whatever is not plain, and every refusal,
    is left to the view, which begins anew.
    """

    def __init__(self, bridge: Bridge, allowances: Allowances) -> None:
        settings = bridge.settings
        self._bridge = bridge
        self._allowances = allowances
        self._cookie = cookies.named(cookies.SESSION, is_secure=settings.cookies_are_secure)
        self._reads_cookies = proxies.SOURCE not in settings.identity  # a proxy's word counts more than a cookie
        self._is_open = not settings.is_demo  # there a guard looks at each request first

    def answer(self, environ: "WSGIEnvironment", about: About) -> Answer | None:
        """Return what the view would answer, or None: then it shall."""
        if not self._is_open or environ["REQUEST_METHOD"] != "POST":
            return None
        address = ADDRESS.fullmatch(environ["PATH_INFO"])
        if address is None or not _is_plain(environ):
            return None
        try:
            with memory_alone():
                answer = self._look(address[1], environ, about)
        except Exception:  # noqa: BLE001 - whatever it is, the view finds it again, and says what it means
            answer = None
        if answer is None:
            about.steps.clear()
            return None
        return answer

    def _look(self, slug: str, environ: "WSGIEnvironment", about: About) -> Answer | None:
        """Look up what an answer takes, and leave no trace before it is sure."""
        state = self._bridge.tenants.get(slug)
        if (caller := self._caller(environ)) is None:
            return None
        identity.check(state, caller.identity)
        subjects, person = self._allowances.subjects, identity.person_at(state, caller.identity)
        subjects.check(person)
        if not caller.by_bearer:
            csrf.verify(caller.anchor, csrf.Sent.of(environ))
        if (token := self._bridge.broker.kept(state, caller.identity)) is None:
            return None
        subjects.spend(person)
        about.route, about.tenant, about.path, about.person = ROUTE, slug, Path.OAUTH, token.key.sub
        self._bridge.broker.note_kept(token)
        self._bridge.renewals.saw(slug, token.key.sub)
        return written(token, environ.get("HTTP_ACCEPT"), self._bridge.clock())

    @timed(Step.SESSION)
    def _caller(self, environ: "WSGIEnvironment") -> Caller | None:
        if "HTTP_AUTHORIZATION" in environ:
            value = identity.bearer_in(environ["HTTP_AUTHORIZATION"])
        else:
            value = parse_cookie(environ.get("HTTP_COOKIE")).get(self._cookie) if self._reads_cookies else None
        if not value or not value.startswith(PREFIX):
            return None
        return identity.by_session(value, by_bearer="HTTP_AUTHORIZATION" in environ, is_use=True)


def _is_plain(environ: "WSGIEnvironment") -> bool:
    """Tell whether there is nothing about the request but who asks: no body, no word of an older token."""
    return (
        environ.get("CONTENT_LENGTH", "0") in {"", "0"}
        and "HTTP_TRANSFER_ENCODING" not in environ
        and "HTTP_UPGRADE" not in environ
        and not environ.get("HTTP_X_REJECTED_TOKEN")
        and HOST.fullmatch(environ.get("HTTP_HOST", "")) is not None
    )
