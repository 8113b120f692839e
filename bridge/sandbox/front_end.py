"""What browsers load: /qlik-embed/, and a mirror of the CDNs that sample pages take Qlik's packages from."""

from __future__ import annotations

import json
import mimetypes
import re
from pathlib import Path
from typing import TYPE_CHECKING

from flask import Blueprint, Response, request, send_from_directory

from bridge.sandbox import front_end_build
from bridge.sandbox.errors import ApiError

if TYPE_CHECKING:
    from collections.abc import Mapping
    from typing import Any

routes = Blueprint("front_end", __name__)

DIST = front_end_build.HOME / "dist"
PACKAGES = front_end_build.HOME / "node_modules"
EXCUSE = Path(__file__).parent / "excuse.js"
EMBED_COMPONENTS = "@qlik/embed-web-components"
PACKAGE = re.compile(
    r"(?P<name>(?:@[a-z0-9][\w.-]*/)?[a-z0-9][\w.-]*)(?:@(?P<version>[^/]+))?(?:/(?P<path>.*))?", re.ASCII
)
ENTRIES = {"jsdelivr": ("jsdelivr", "browser", "main"), "unpkg": ("unpkg", "main")}
"""Where each CDN looks for the file that a package means when an address names none."""
CDN_HOSTS = {"cdn.jsdelivr.net": "jsdelivr", "unpkg.com": "unpkg"}
SCRIPT = "text/javascript"
MOMENT, HOUR = "no-cache", "public, max-age=3600"


@routes.before_app_request
def answer_as_cdn() -> Response | None:
    """Answer for a CDN whose name was mapped to this tenant, so that pages that name it run offline."""
    cdn = CDN_HOSTS.get(request.host.partition(":")[0])
    if cdn is None:
        return None
    path = request.path.lstrip("/")
    return mirrored(cdn, path.removeprefix("npm/") if cdn == "jsdelivr" else path)


@routes.get("/qlik-embed/<path:name>")
def get_embed_file(name: str) -> Response:
    """Qlik: GET /qlik-embed/main.js, the runtime behind qlik-embed; public, as a script tag brings no credentials."""
    if why := front_end_build.why_not():
        return _script(_excuse(why)) if name == "main.js" else _missing(name)
    if not name.endswith(".js"):
        return _missing(name)
    return _public(send_from_directory(DIST, name, mimetype=SCRIPT), MOMENT)


@routes.get("/npm/<path:path>")
def get_from_jsdelivr(path: str) -> Response:
    return mirrored("jsdelivr", path)


@routes.get("/unpkg/<path:path>")
def get_from_unpkg(path: str) -> Response:
    return mirrored("unpkg", path)


def mirrored(cdn: str, path: str) -> Response:
    """Return a file of an installed package, whatever version the address names."""
    asked = PACKAGE.fullmatch(path)
    if asked is None:
        return _missing(path)
    folder = PACKAGES / asked["name"]
    if not (folder / "package.json").is_file():
        why = front_end_build.why_not()
        return _script(_excuse(why)) if why and asked["name"] == EMBED_COMPONENTS else _missing(path)
    name = asked["path"] or _entry(cdn, json.loads((folder / "package.json").read_text()))
    found = next((each for each in (name, _unminified(name)) if (folder / each).is_file()), None)
    if found is None:
        return _missing(path)
    kind = SCRIPT if found.endswith((".js", ".mjs")) else mimetypes.guess_type(found)[0]
    return _public(send_from_directory(folder, found, mimetype=kind or "application/octet-stream"), HOUR)


def described() -> dict[str, object]:
    why = front_end_build.why_not()
    return {"ready": not why, "why": why}


def _entry(cdn: str, package: Mapping[str, Any]) -> str:
    named = (package.get(field) for field in ENTRIES[cdn])
    return next((name.removeprefix("./") for name in named if isinstance(name, str)), "index.js")


def _unminified(name: str) -> str:
    """Return the file that jsDelivr minifies on the fly; we serve it as it is."""
    return re.sub(r"\.min\.(js|css)$", r".\1", name)


def _excuse(why: str) -> str:
    return EXCUSE.read_text().replace('"WHY"', json.dumps(why))


def _script(text: str) -> Response:
    return _public(Response(text, mimetype=SCRIPT), MOMENT)


def _public(response: Response, caching: str) -> Response:
    response.headers["Cache-Control"] = caching
    response.headers["Access-Control-Allow-Origin"] = "*"
    response.headers["Cross-Origin-Resource-Policy"] = "cross-origin"
    return response


def _missing(path: str) -> Response:
    if not request.path.startswith(("/npm/", "/unpkg/")) and request.host.partition(":")[0] not in CDN_HOSTS:
        raise ApiError(404, "HTTP-404", "Not found", request.path)
    return Response(f"Couldn't find the requested file {path}.", 404, mimetype="text/plain")
