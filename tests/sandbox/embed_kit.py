"""A page on another site than its tenant, with Qlik's own components from the tenant's mirror."""

from __future__ import annotations

import time
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import requests
from browser.kit import PATIENCE_MS, app_id
from werkzeug.wrappers import Request, Response

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from _typeshed.wsgi import StartResponse, WSGIEnvironment
    from clients.harness import Tenant

IMPERSONATION = "urn:qlik:oauth:user-impersonation"
TOKEN_PATH = "/token"
PAGE = """<!doctype html><html lang="en"><meta charset="utf-8"><title>A page with embeds</title>
<script>
  async function freshToken() {{
    const answer = await fetch("/token");
    return answer.text();
  }}
  window.heard = [];
  for (const name of ["ready", "fatalerror"]) {{
    document.addEventListener(name, ({{ target }}) => heard.push(`${{name}} ${{target.id}}`), true);
  }}
</script>
<script src="{tenant}/npm/@qlik/embed-web-components@1/dist/index.min.js" data-host="{tenant}" {attributes}></script>
<style>.box {{ width: 640px; height: 320px }} {style}</style>
<main>{content}</main></html>"""


@dataclass
class HostPage:
    """Serves one page of the test's, and access tokens for one person to it."""

    port: int
    tenant: Tenant
    who: str = "alice"
    html: str = ""
    tokens: int = 0
    attributes: dict[str, str] = field(default_factory=dict)

    @property
    def origin(self) -> str:
        return f"http://localhost:{self.port}"

    def put(self, *content: str, style: str = "", **attributes: str) -> None:
        """Lay out the page for the OAuth path, or with the attributes of the script that are given instead."""
        client = self.tenant.client("issuing")["clientId"]
        oauth = {"auth-type": "Oauth2", "client-id": client, "get-access-token": "freshToken"}
        chosen = attributes or oauth
        spelled = " ".join(f'data-{name.replace("_", "-")}="{value}"' for name, value in chosen.items())
        self.html = PAGE.format(tenant=self.tenant.url, attributes=spelled, style=style, content="".join(content))

    def __call__(self, environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
        return self._answer(Request(environ))(environ, start_response)

    def _answer(self, request: Request) -> Response:
        if request.path == TOKEN_PATH:
            self.tokens += 1
            return Response(self._token(), mimetype="text/plain")
        if request.path == "/":
            return Response(self.html, mimetype="text/html")
        return Response(status=404)

    def _token(self) -> str:
        client = self.tenant.client("issuing")
        named = {"client_id": client["clientId"], "client_secret": client["clientSecret"]}
        lookup = {"user_lookup": {"field": "subject", "value": self.who}}
        answer = requests.post(
            f"{self.tenant.url}/oauth/token", json={"grant_type": IMPERSONATION, **named, **lookup}, timeout=20
        )
        return str(answer.json()["access_token"])


def embed(ui: str, app: str = "Retail sales", name: str = "one", **attributes: str) -> str:
    """Return one element in a box; `object_id` and the like are attributes, `:json` is written `__json`."""
    given = {"ui": ui, "app-id": app_id(app), **attributes}
    spelled = " ".join(f"{_attribute(key)}='{value}'" for key, value in given.items())
    return f'<div class="box"><qlik-embed id="{name}" {spelled}></qlik-embed></div>'


def _attribute(name: str) -> str:
    return name.replace("__", ":").replace("_", "-")


def until(condition: Callable[[], bool], what: str) -> None:
    give_up = time.monotonic() + PATIENCE_MS / 1000
    while not condition():
        assert time.monotonic() < give_up, what
        time.sleep(0.02)


def sockets(tenant: Tenant) -> list[dict[str, Any]]:
    return tenant.all("sockets")
