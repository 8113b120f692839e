"""/api/v1/groups: idp groups, which logins bring, and custom groups, which administrators make."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from flask import Blueprint, Response, jsonify, request

from bridge.sandbox import auth, body, errors, filters, paging, user_patch
from bridge.sandbox.errors import ApiError
from bridge.sandbox.state import EVERYONE, EVERYONE_ID, Group, hex_id, iso
from bridge.sandbox.tenant import Tenant, here

if TYPE_CHECKING:
    from collections.abc import Callable

routes = Blueprint("groups", __name__, url_prefix="/api/v1/groups")

READ_SCOPES = ("user_default",)
SORT_FIELDS = ("name", "id", "createdAt", "providerType", "status")


def attributes(tenant: Tenant) -> filters.Attributes:
    values: dict[str, filters.Values] = {
        "id": lambda group: [group.id],
        "name": lambda group: [group.name],
        "status": lambda group: [group.status],
        "providerType": lambda group: [group.provider_type],
        "assignedRoles.id": lambda group: list(group.role_ids),
        "assignedRoles.name": lambda group: [role["name"] for role in _roles(tenant, group.role_ids)],
    }
    return filters.Attributes(values, frozenset({"name"}))


def shown(group: Group) -> dict[str, Any]:
    tenant = here()
    return {
        "id": group.id,
        "tenantId": tenant.id,
        "name": group.name,
        "description": group.description,
        "providerType": group.provider_type,
        "status": group.status,
        "createdAt": iso(group.created_at),
        "lastUpdatedAt": iso(group.updated_at),
        "assignedRoles": _roles(tenant, group.role_ids),
        "links": {"self": {"href": f"{auth.own_origin()}/api/v1/groups/{group.id}"}},
    }


def _roles(tenant: Tenant, ids: list[str]) -> list[dict[str, Any]]:
    roles = [role for role in map(tenant.role, ids) if role]
    return [{"id": role.id, "name": role.name, "type": "default", "level": role.level} for role in roles]


def _everyone(tenant: Tenant) -> dict[str, Any]:
    return {
        "id": EVERYONE_ID,
        "name": EVERYONE,
        "enabled": True,
        "createdAt": iso(tenant.created_at),
        "lastUpdatedAt": iso(tenant.memory.settings_updated_at),
        "assignedRoles": _roles(tenant, tenant.memory.everyone_role_ids),
    }


@routes.get("")
def get_groups() -> Response:
    """Qlik: GET /groups. `systemGroups=true` lists com.qlik.Everyone and excludes every other parameter."""
    auth.admin(*READ_SCOPES)
    if request.args.get("systemGroups", "").strip().lower() == "true":
        if len(request.args) > 1:
            raise body.bad_request("systemGroups excludes every other parameter")
        everyone = {**_everyone(here()), "tenantId": here().id, "status": "active"}
        return jsonify(data=[everyone], links={"self": {"href": request.url}})
    return jsonify(_page(request.args.get("filter", "").strip()))


@routes.post("/actions/filter")
def post_filter() -> Response:
    """Qlik: POST /groups/actions/filter."""
    auth.admin(*READ_SCOPES)
    return jsonify(_page(body.text(body.fields(), "filter", longest=100_000)))


def _page(text: str) -> dict[str, Any]:
    tenant = here()
    found = list(tenant.memory.groups.values())
    if text:
        expression = filters.parse(text, attributes(tenant))
        found = [group for group in found if expression.matches(group)]
    name, down = paging.sort_order(SORT_FIELDS, "+name")
    found.sort(key=lambda group: (str(shown(group)[name]).lower(), group.id), reverse=down)
    return paging.page(found, shown)


@routes.post("")
def post_group() -> tuple[Response, int]:
    """Qlik: POST /groups. providerType is idp unless the body says custom; names are unique within a type."""
    auth.admin()
    tenant, given = here(), body.fields()
    name, kind = body.text(given, "name", required=True), given.get("providerType", "idp")
    if kind not in ("idp", "custom"):
        raise body.bad_request("providerType must be idp or custom")
    if tenant.group_named(name, kind):
        raise ApiError(409, "GROUPS-9", "Conflict", "A group with this name exists")
    group = Group(hex_id(), name, kind, tenant.now(), tenant.now())
    group.description = body.text(given, "description", longest=4096)
    group.role_ids = user_patch.role_ids(tenant, given.get("assignedRoles", []))
    tenant.add_group(group)
    return jsonify(shown(group)), 201


@routes.get("/settings")
def get_settings() -> Response:
    """Qlik: GET /groups/settings."""
    auth.admin(*READ_SCOPES)
    return jsonify(settings(here()))


def settings(tenant: Tenant) -> dict[str, Any]:
    return {
        "tenantId": tenant.id,
        "autoCreateGroups": tenant.memory.auto_create_groups,
        "syncIdpGroups": tenant.memory.sync_idp_groups,
        "systemGroups": {EVERYONE_ID: _everyone(tenant)},
        "links": {"self": {"href": f"{auth.own_origin()}/api/v1/groups/settings"}},
    }


@routes.patch("/settings")
def patch_settings() -> Response:
    """Qlik: PATCH /groups/settings. Every operation is checked before the first one counts."""
    auth.admin()
    memory = here().memory
    changes = [_settings_change(here(), operation) for operation in body.operations()]
    for name, value in changes:
        setattr(memory, name, value)
    memory.settings_updated_at = here().now()
    return Response(status=204)


def _settings_change(tenant: Tenant, operation: body.Fields) -> tuple[str, Any]:
    path, value = str(operation.get("path")), operation.get("value")
    switches = {"/autoCreateGroups": "auto_create_groups", "/syncIdpGroups": "sync_idp_groups"}
    if operation.get("op") == "replace" and path in switches and isinstance(value, bool):
        return switches[path], value
    if operation.get("op") == "replace" and path == f"/systemGroups/{EVERYONE_ID}/assignedRoles":
        return "everyone_role_ids", user_patch.role_ids(tenant, value)
    raise body.bad_request(f"Cannot {operation.get('op')} {path}")


@routes.get("/<group_id>")
def get_group(group_id: str) -> Response:
    """Qlik: GET /groups/{id}."""
    auth.admin(*READ_SCOPES)
    return jsonify(shown(_found(group_id)))


@routes.patch("/<group_id>")
def patch_group(group_id: str) -> Response:
    """Qlik: PATCH /groups/{id}. name and description of custom groups, assignedRoles of any."""
    auth.admin()
    group = _found(group_id)
    changes = [_group_change(here(), group, operation) for operation in body.operations()]
    for name, value in changes:
        setattr(group, name, value)
    group.updated_at = here().now()
    return Response(status=204)


def _group_change(tenant: Tenant, group: Group, operation: body.Fields) -> tuple[str, Any]:
    """Paths come with and without a slash: Qlik's schema and its examples differ."""
    name, value = str(operation.get("path", "")).removeprefix("/"), operation.get("value")
    readers: dict[str, Callable[[], Any]] = {
        "name": lambda: _free_name(tenant, group, body.text({"name": value}, "name", required=True)),
        "description": lambda: body.text({"description": value}, "description", required=True, longest=4096),
    }
    if operation.get("op") == "replace" and name == "assignedRoles":
        return "role_ids", user_patch.role_ids(tenant, value)
    if operation.get("op") != "replace" or name not in readers or group.provider_type != "custom":
        raise body.bad_request(f"Cannot {operation.get('op')} {name} of this group")
    return name, readers[name]()


def _free_name(tenant: Tenant, group: Group, name: str) -> str:
    if tenant.group_named(name, "custom") not in (None, group):
        raise ApiError(409, "GROUPS-9", "Conflict", "A group with this name exists")
    return name


@routes.delete("/<group_id>")
def delete_group(group_id: str) -> Response:
    """Qlik: DELETE /groups/{id}. 204; memberships and space assignments of the group go with it."""
    auth.admin()
    tenant, group = here(), _found(group_id)
    del tenant.memory.groups[group.id]
    for user in tenant.users():
        user.group_ids = [gid for gid in user.group_ids if gid != group.id]
    for space in tenant.memory.spaces.values():
        space.assignments = [entry for entry in space.assignments if entry.assignee_id != group.id]
    return Response(status=204)


def _found(group_id: str) -> Group:
    group = here().memory.groups.get(group_id)
    if group is None:
        raise errors.not_found("GROUPS-7")
    return group
