"""A portal on a site of its own: it knows its people and vouches for them; it shares no cookie with the bridge."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from storykit import assertion
from werkzeug.wrappers import Request, Response

from browser.kit import BOX

if TYPE_CHECKING:
    from collections.abc import Iterable

    from _typeshed.wsgi import StartResponse, WSGIEnvironment
    from cryptography.hazmat.primitives.asymmetric import ec

HOST = "127.0.0.2"
SESSION_URL = "/qlik-session"
PAGE = """<!doctype html><html lang="en"><meta charset="utf-8"><title>A portal elsewhere</title>
<script src="{bridge}/t/acme/embed.js" data-session-url="{session_url}" defer></script>
<style>{style}</style>
<main><h1>A portal elsewhere</h1>{content}</main></html>"""


@dataclass
class ThirdSite:
    """Signs an assertion for whoever its cookie names."""

    port: int
    bridge: str
    key: ec.EllipticCurvePrivateKey
    groups: dict[str, list[str]]
    content: str = ""
    vouched: list[str] = field(default_factory=list)

    @property
    def origin(self) -> str:
        return f"http://{HOST}:{self.port}"

    def __call__(self, environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
        return self._answer(Request(environ))(environ, start_response)

    def _answer(self, request: Request) -> Response:
        who = request.cookies.get("portal", "")
        if request.path == SESSION_URL:
            return self._vouch(who) if who in self.groups else Response("sign in", 401)
        if request.path == "/":
            html = PAGE.format(bridge=self.bridge, session_url=SESSION_URL, style=BOX, content=self.content)
            return Response(html, mimetype="text/html")
        if request.path.startswith("/as/"):
            answer = Response(status=303, headers={"Location": "/"})
            answer.set_cookie("portal", request.path.removeprefix("/as/"), httponly=True, samesite="Lax")
            return answer
        return Response(status=404)

    def _vouch(self, who: str) -> Response:
        """Answer a fresh assertion: each is good for one exchange."""
        self.vouched.append(who)
        signed = assertion(self.key, self.bridge, who, self.groups[who], {})
        return Response(f'{{"assertion": "{signed}"}}', mimetype="application/json")
