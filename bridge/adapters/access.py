"""What one person has in a tenant, over HTTP and the engine, by a cookie session or a token. Read only."""

from collections.abc import Iterator, Mapping
from typing import Any

from bridge.adapters.engine import WebSocketEngine
from bridge.adapters.qlik import USERS_ME, HttpQlik, own_address
from bridge.adapters.qlik_answers import EVERYONE, document, user
from bridge.adapters.wire import Answer
from bridge.errors import TenantGarbled
from bridge.evidence import Credential, Holder, OpenedApp, Wanted
from bridge.model import Tenant

CSRF = "qlik-csrf-token"
SPACES, APPS = "/api/v1/spaces?limit=100", "/api/v1/items?resourceType=app&limit=100"
MAX_PAGES = 50
"""Pages of a hundred entries; a longer list is an error, because half a list would be half a proof."""


class HttpAccess:
    """Implements ports.AccessReader. No error of its methods repeats a JWT, cookie or token."""

    def __init__(self, qlik: HttpQlik, engine: WebSocketEngine) -> None:
        self._qlik = qlik
        self._engine = engine

    def session(self, tenant: Tenant, legacy_jwt: str) -> Credential:
        """Log in (Qlik: POST /login/jwt-session) and fetch the token that websockets need (Qlik: GET csrf-token)."""
        cookies = {"Cookie": self._qlik.open_session(tenant, legacy_jwt)}
        answer = self._qlik.get("csrf-token", f"{tenant.host}/api/v1/csrf-token", cookies)
        csrf = answer.headers.get(CSRF, "")
        if not csrf:
            raise TenantGarbled(detail="csrf-token: no token in the answer")
        return Credential({**cookies, CSRF: csrf})

    def holder(self, tenant: Tenant, credential: Credential) -> Holder:
        answer = self._qlik.me(tenant, credential.headers)
        known, found = user(USERS_ME, answer), document(USERS_ME, answer)
        roles = {_text(role, "id"): _text(role, "name") for role in _entries(found, "assignedRoles")}
        groups = {_group_key(group): _group_label(group) for group in _entries(found, "assignedGroups")}
        groups = {key: label for key, label in groups.items() if not key.endswith(f":{EVERYONE}")}
        return Holder(known.id, known.subject, roles, groups)

    def spaces(self, tenant: Tenant, credential: Credential) -> Mapping[str, str]:
        """Read them with the caller's roles (Qlik: GET /api/v1/spaces, `meta.roles`)."""
        found = {}
        for space in self._all("spaces", tenant, SPACES, credential):
            space_id, name, meta = _text(space, "id"), _text(space, "name"), space.get("meta")
            roles = meta.get("roles") if isinstance(meta, dict) else None
            for role in roles if isinstance(roles, list) and roles else ["member"]:
                found[f"{space_id}/{role}"] = f"{name}: {role}"
        return found

    def apps(self, tenant: Tenant, credential: Credential) -> Mapping[str, str]:
        """Read the catalog (Qlik: GET /api/v1/items, resource type app)."""
        items = self._all("items", tenant, APPS, credential)
        return {_text(item, "resourceId"): _text(item, "name") for item in items}

    def opened(self, tenant: Tenant, credential: Credential, app_id: str, wanted: Wanted) -> OpenedApp:
        return self._engine.look(tenant, credential, app_id, wanted)

    def _all(self, call: str, tenant: Tenant, path: str, credential: Credential) -> Iterator[Mapping[str, Any]]:
        """Yield the entries of every page (Qlik: `links.next.href`), at the tenant's own origin alone."""
        url = f"{tenant.host}{path}"
        for _ in range(MAX_PAGES):
            answer = self._qlik.get(call, url, credential.headers)
            yield from _entries(document(call, answer), "data")
            following = _next_link(call, answer)
            if not following:
                return
            url = own_address(call, tenant, url, following)
        raise TenantGarbled(detail=f"{call}: more than {MAX_PAGES} pages")


def _next_link(call: str, answer: Answer) -> str:
    links = document(call, answer).get("links")
    following = links.get("next") if isinstance(links, dict) else None
    href = following.get("href") if isinstance(following, dict) else None
    return href if isinstance(href, str) else ""


def _entries(found: Mapping[str, Any], name: str) -> list[dict[str, Any]]:
    entries = found.get(name) or []
    if not isinstance(entries, list) or not all(isinstance(entry, dict) for entry in entries):
        raise TenantGarbled(detail=f"{name}: not a list of objects")
    return entries


def _text(entry: Mapping[str, Any], name: str) -> str:
    found = entry.get(name)
    if not isinstance(found, str):
        raise TenantGarbled(detail=f"an entry without {name}")
    return found


def _group_key(group: Mapping[str, Any]) -> str:
    return f"{group.get('providerType') or 'unknown'}:{_text(group, 'name')}"


def _group_label(group: Mapping[str, Any]) -> str:
    return f"{_text(group, 'name')} ({group.get('providerType') or 'unknown'})"
