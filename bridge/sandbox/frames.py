"""Qlik's own pages for frames: /single/ for one chart or sheet, /sense/app/ for a whole app."""

from __future__ import annotations

from html import escape
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import urlencode

from flask import Blueprint, Response, redirect, request, send_from_directory

from bridge.sandbox import auth, csp_origins, errors, front_end_build
from bridge.sandbox.tenant import here

if TYPE_CHECKING:
    from werkzeug.wrappers import Response as AnyResponse

routes = Blueprint("frames", __name__)

PAGES = Path(__file__).parent / "pages"
MOUNTED = "/resources/frames"
SECRETS = ("accessToken", "qlik-csrf-token")
ENDED = (
    "You are not signed in here: the access token in the address of this frame is not valid, or not any more. "
    "Load the page around it again."
)


@routes.get("/single")
@routes.get("/single/")
@routes.get("/sense/app/<app_id>")
@routes.get("/sense/app/<app_id>/<path:rest>")
def get_page(**_address: str) -> AnyResponse:
    """Qlik: a page for a frame. Its script reads the address by itself, so nothing of that is written into it."""
    if "accessToken" in request.args:
        # As with a bearer token: whoever shows one is not asked for a cookie.
        if auth.by_exchanged_token("webresource") is None:
            return page("says.html", 401, ENDED)
    elif auth.identify() is None:
        return to_login()
    if why := front_end_build.why_not():
        return page("says.html", 200, why)
    return page("frame.html")


@routes.get(f"{MOUNTED}/<path:name>")
def get_file(name: str) -> Response:
    return send_from_directory(PAGES, name)


def page(name: str, status: int = 200, text: str = "") -> Response:
    """Return a page that its own origin may frame, and the sites that an administrator listed."""
    content = (PAGES / name).read_text().replace("TEXT", escape(text))
    response = Response(content, status, mimetype="text/html")
    response.headers[csp_origins.HEADER] = csp_origins.frame_ancestors(here())
    response.headers["X-Content-Type-Options"] = "nosniff"
    response.headers["Referrer-Policy"] = "no-referrer"  # the address may hold a token
    return response


def to_login() -> AnyResponse:
    """Send people to the sign-in page, and from there back to this one. Scripts get a 401."""
    if request.headers.get("Sec-Fetch-Mode", "navigate") != "navigate":
        raise errors.unauthorized()
    kept = [(name, value) for name, value in request.args.items(multi=True) if name not in SECRETS]
    back = f"{request.path}?{urlencode(kept)}" if kept else request.path
    return redirect(f"/login?{urlencode({'returnto': back})}")
