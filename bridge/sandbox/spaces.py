"""/api/v1/spaces and their assignments, and /api/v1/items: what a membership opens."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from flask import Blueprint, Response, jsonify, request

from bridge.sandbox import auth, body, errors, paging
from bridge.sandbox.errors import ApiError
from bridge.sandbox.state import EVERYONE_ID, Assignment, Item, Space, hex_id, iso
from bridge.sandbox.tenant import Tenant, here

if TYPE_CHECKING:
    from collections.abc import Iterable

routes = Blueprint("spaces", __name__, url_prefix="/api/v1")

SPACE_ROLES = {
    "shared": {"consumer", "contributor", "dataconsumer", "facilitator", "producer", "codeveloper", "operator"},
    "managed": {"consumer", "contributor", "dataconsumer", "facilitator", "operator", "publisher", "basicconsumer"},
    "data": {"dataconsumer", "datapreview", "facilitator", "operator", "producer"},
}
ADMIN_SCOPES = ("admin.spaces",)
OPENING = {
    "owner",
    "basicconsumer",
    "codeveloper",
    "consumer",
    "contributor",
    "facilitator",
    "producer",
    "publisher",
}
"""The roles whose holders may open apps. An administrator manages a space without being let into its apps."""
MANAGERS = {"owner", "admin", "facilitator"}
MANAGER_ACTIONS = ["change_owner", "create", "delete", "read", "update"]


def roles_in(tenant: Tenant, principal: auth.Principal, space: Space) -> set[str]:
    """Return what the caller is in a space: by name, by a group, as its owner or as an administrator."""
    holders = {principal.user.id, EVERYONE_ID, *(group.id for group in tenant.groups_of(principal.user))}
    found = {role for entry in space.assignments if entry.assignee_id in holders for role in entry.roles}
    if space.owner_id == principal.user.id:
        found.add("owner")
    if tenant.is_admin(principal.user) and principal.may("admin_classic", *ADMIN_SCOPES):
        found.add("admin")
    return found


def shown(space: Space) -> dict[str, Any]:
    address = f"{auth.own_origin()}/api/v1/spaces/{space.id}"
    roles = roles_in(here(), auth.signed_in(), space)
    return {
        "id": space.id,
        "tenantId": here().id,
        "name": space.name,
        "type": space.kind,
        "description": space.description,
        "ownerId": space.owner_id,
        "createdBy": space.owner_id,
        "createdAt": iso(space.created_at),
        "updatedAt": iso(space.created_at),
        "meta": {
            "actions": MANAGER_ACTIONS if roles & MANAGERS else ["read"],
            "roles": sorted(roles),
            "assignableRoles": sorted(SPACE_ROLES[space.kind]),
        },
        "links": {"self": {"href": address}, "assignments": {"href": f"{address}/assignments"}},
    }


def seen_spaces() -> list[Space]:
    tenant, principal = here(), auth.signed_in()
    return [space for space in tenant.memory.spaces.values() if roles_in(tenant, principal, space)]


@routes.get("/spaces")
def get_spaces() -> Response:
    """Qlik: GET /spaces. The caller's spaces, optionally by `name` and `type`."""
    found = _narrowed(seen_spaces(), {"name": "name", "type": "kind", "ownerId": "owner_id"})
    return jsonify(paging.page(sorted(found, key=lambda space: space.name.lower()), shown))


def _narrowed(entries: Iterable[Any], names: dict[str, str]) -> list[Any]:
    """Keep the entries that equal every query parameter of `names`."""
    wanted = {attribute: request.args.get(name, "").strip() for name, attribute in names.items()}
    return [entry for entry in entries if all(not v or getattr(entry, a) == v for a, v in wanted.items())]


@routes.post("/spaces")
def post_space() -> tuple[Response, int]:
    """Qlik: POST /spaces. 201; 409 for a name in use."""
    principal = auth.signed_in()
    tenant, given = here(), body.fields()
    name, kind = body.text(given, "name", required=True), str(given.get("type", "shared"))
    if kind not in SPACE_ROLES:
        raise body.bad_request("type must be shared, managed or data")
    if any(space.name == name for space in tenant.memory.spaces.values()):
        raise ApiError(409, "SPACES-409", "Conflict", "A space with this name exists")
    space = Space(hex_id(), name, kind, principal.user.id, tenant.now(), body.text(given, "description", longest=4096))
    tenant.memory.spaces[space.id] = space
    return jsonify(shown(space)), 201


@routes.get("/spaces/<space_id>")
def get_space(space_id: str) -> Response:
    """Qlik: GET /spaces/{id}. 404 for a space that the caller is no member of."""
    return jsonify(shown(_found(space_id)))


@routes.delete("/spaces/<space_id>")
def delete_space(space_id: str) -> Response:
    """Qlik: DELETE /spaces/{id}."""
    space = _managed(space_id)
    del here().memory.spaces[space.id]
    return Response(status=204)


@routes.get("/spaces/<space_id>/assignments")
def get_assignments(space_id: str) -> Response:
    """Qlik: GET /spaces/{id}/assignments."""
    space = _found(space_id)
    return jsonify(paging.page(space.assignments, lambda entry: _shown_assignment(space, entry)))


@routes.post("/spaces/<space_id>/assignments")
def post_assignment(space_id: str) -> tuple[Response, int]:
    """Qlik: POST /spaces/{id}/assignments {type, assigneeId, roles}. 201; 409 for an assignee that has one."""
    tenant, space, given = here(), _managed(space_id), body.fields()
    kind, assignee = given.get("type"), body.text(given, "assigneeId", required=True)
    known = {"user": {*tenant.memory.users}, "group": {*tenant.memory.groups, EVERYONE_ID}}
    known["bot"] = known["user"]
    if assignee not in known.get(str(kind), ()):
        raise body.bad_request("type must be user, group or bot, and assigneeId one of them")
    if any(entry.assignee_id == assignee for entry in space.assignments):
        raise ApiError(409, "SPACES-409", "Conflict", "The assignee has an assignment here")
    entry = Assignment(hex_id(), str(kind), assignee, _checked_roles(space, given), tenant.now())
    space.assignments.append(entry)
    return jsonify(_shown_assignment(space, entry)), 201


@routes.put("/spaces/<space_id>/assignments/<assignment_id>")
def put_assignment(space_id: str, assignment_id: str) -> Response:
    """Qlik: PUT /spaces/{id}/assignments/{assignmentId}: other roles."""
    space = _managed(space_id)
    entry = _assignment(space, assignment_id)
    entry.roles = _checked_roles(space, body.fields())
    return jsonify(_shown_assignment(space, entry))


@routes.delete("/spaces/<space_id>/assignments/<assignment_id>")
def delete_assignment(space_id: str, assignment_id: str) -> Response:
    """Qlik: DELETE /spaces/{id}/assignments/{assignmentId}."""
    space = _managed(space_id)
    space.assignments.remove(_assignment(space, assignment_id))
    return Response(status=204)


def _checked_roles(space: Space, given: body.Fields) -> list[str]:
    roles = given.get("roles")
    if not isinstance(roles, list) or not roles or not all(str(role) in SPACE_ROLES[space.kind] for role in roles):
        raise body.bad_request(f"roles must be of {', '.join(sorted(SPACE_ROLES[space.kind]))}")
    return roles


def _shown_assignment(space: Space, entry: Assignment) -> dict[str, Any]:
    return {
        "id": entry.id,
        "tenantId": here().id,
        "spaceId": space.id,
        "type": entry.kind,
        "assigneeId": entry.assignee_id,
        "roles": entry.roles,
        "createdAt": iso(entry.created_at),
        "links": {"self": {"href": f"{auth.own_origin()}/api/v1/spaces/{space.id}/assignments/{entry.id}"}},
    }


def _assignment(space: Space, assignment_id: str) -> Assignment:
    entry = next((entry for entry in space.assignments if entry.id == assignment_id), None)
    if entry is None:
        raise errors.not_found("SPACES-404")
    return entry


def _found(space_id: str) -> Space:
    space = next((space for space in seen_spaces() if space.id == space_id), None)
    if space is None:
        raise errors.not_found("SPACES-404")
    return space


def _managed(space_id: str) -> Space:
    space = _found(space_id)
    if roles_in(here(), auth.signed_in(), space).isdisjoint(MANAGERS):
        raise errors.forbidden()
    return space


@routes.get("/items")
def get_items() -> Response:
    """Qlik: GET /items. Resources of the caller's spaces, optionally by name, resourceType or spaceId."""
    found = _narrowed(_seen_items(), {"name": "name", "resourceType": "resource_type", "spaceId": "space_id"})
    return jsonify(paging.page(sorted(found, key=lambda item: item.name.lower()), _shown_item))


@routes.get("/items/<item_id>")
def get_item(item_id: str) -> Response:
    """Qlik: GET /items/{id}."""
    item = next((item for item in _seen_items() if item.id == item_id), None)
    if item is None:
        raise errors.not_found("ITEMS-404")
    return jsonify(_shown_item(item))


def _seen_items() -> list[Item]:
    spaces = {space.id for space in seen_spaces()}
    return [item for item in here().memory.items.values() if item.space_id in spaces]


def _shown_item(item: Item) -> dict[str, Any]:
    return {
        "id": item.id,
        "tenantId": here().id,
        "name": item.name,
        "description": item.description,
        "resourceId": item.resource_id,
        "resourceType": item.resource_type,
        "spaceId": item.space_id,
        "ownerId": item.owner_id,
        **dict.fromkeys(("createdAt", "updatedAt", "resourceCreatedAt", "resourceUpdatedAt"), iso(item.created_at)),
        "actions": ["read"],
        "collectionIds": [],
        "isFavorited": False,
        "resourceAttributes": {"id": item.resource_id, "name": item.name},
        "resourceCustomAttributes": {},
        "meta": {"actions": ["read"], "collections": [], "isFavorited": False, "tags": []},
        "links": {"self": {"href": f"{auth.own_origin()}/api/v1/items/{item.id}"}},
    }
