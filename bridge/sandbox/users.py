"""/api/v1/users: what the tenant knows about people and bots."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from flask import Blueprint, Response, jsonify, redirect, request

from bridge.sandbox import auth, body, errors, filters, paging, user_patch
from bridge.sandbox.errors import ApiError
from bridge.sandbox.state import EVERYONE, EVERYONE_ID, Group, User, hex_id, iso
from bridge.sandbox.tenant import Tenant, here

if TYPE_CHECKING:
    from collections.abc import Iterable

    from werkzeug.wrappers import Response as AnyResponse

routes = Blueprint("users", __name__, url_prefix="/api/v1/users")

READ_SCOPES = ("user_default", "admin.users", "admin.users:read")
PUBLIC_FIELDS = ("id", "tenantId", "subject", "name", "picture", "status", "links")
SORT_FIELDS = ("name", "id", "_id", "tenantId", "clientId", "status", "subject", "email", "inviteExpiry", "createdAt")


def attributes(tenant: Tenant) -> filters.Attributes:
    """Return what a filter on users may name. Qlik: GET /users, `filter`."""

    def roles(user: User) -> list[dict[str, Any]]:
        return _roles(tenant, user.role_ids)

    def groups(user: User) -> list[Group]:
        return tenant.groups_of(user)

    values: dict[str, filters.Values] = {
        "id": lambda user: [user.id],
        "subject": lambda user: [user.subject],
        "name": lambda user: [user.name],
        "email": lambda user: [user.email],
        "status": lambda user: [user.status],
        "clientId": lambda user: [user.client_id or ""],
        "assignedRoles.id": lambda user: [role["id"] for role in roles(user)],
        "assignedRoles.name": lambda user: [role["name"] for role in roles(user)],
        "assignedGroups.id": lambda user: [group.id for group in groups(user)],
        "assignedGroupsAssignedRoles.name": lambda user: [
            role["name"] for group in groups(user) for role in _roles(tenant, group.role_ids)
        ],
        "assignedScopes": lambda _user: [],
    }
    return filters.Attributes(values, frozenset({"name", "email", "subject"}))


def shown(user: User) -> dict[str, Any]:
    """Return the whole user resource, with the legacy fields that real answers still carry."""
    tenant = here()
    created, updated = iso(user.created_at), iso(user.updated_at)
    roles = _roles(tenant, user.role_ids)
    resource: dict[str, Any] = {
        "id": user.id,
        "tenantId": tenant.id,
        "subject": user.subject,
        "name": user.name,
        "email": user.email,
        "status": user.status,
        "picture": user.picture,
        **user.preferred,
        "createdAt": created,
        "lastUpdatedAt": updated,
        "created": created,
        "lastUpdated": updated,
        "roles": [role["name"] for role in roles],
        "groups": [group.name for group in tenant.groups_of(user)],
        "assignedRoles": roles,
        "assignedGroups": _assigned_groups(tenant, user),
        "assignedScopes": [],
        "links": {"self": {"href": f"{auth.own_origin()}/api/v1/users/{user.id}"}},
    }
    resource.update({"clientId": user.client_id} if user.client_id else {})
    resource.update({"inviteExpiry": user.invite_expiry} if user.invite_expiry else {})
    return resource


def _assigned_groups(tenant: Tenant, user: User) -> list[dict[str, Any]]:
    found = [
        {
            "id": group.id,
            "name": group.name,
            "providerType": group.provider_type,
            "assignedRoles": _roles(tenant, group.role_ids),
        }
        for group in tenant.groups_of(user)
    ]
    if tenant.switches.everyone_group == "hidden":
        return found
    everyone = {"id": EVERYONE_ID, "name": EVERYONE, "assignedRoles": _roles(tenant, tenant.memory.everyone_role_ids)}
    typed = {"providerType": "idp"} if tenant.switches.everyone_group == "idp" else {}
    return [*found, {**everyone, **typed}]


def _roles(tenant: Tenant, role_ids: Iterable[str]) -> list[dict[str, Any]]:
    roles = [role for role in map(tenant.role, role_ids) if role]
    return [{"id": role.id, "name": role.name, "type": "default", "level": role.level} for role in roles]


def visible(user: User) -> dict[str, Any]:
    """Return what the caller may see of a user, cut to `fields` when asked. `id` is always there."""
    principal = auth.signed_in()
    resource = shown(user)
    if user.id != principal.user.id and not _reads_all(principal):
        resource = {name: resource[name] for name in PUBLIC_FIELDS}
    wanted = paging.wanted_fields()
    return {name: value for name, value in resource.items() if name in ("id", *wanted)} if wanted else resource


def _reads_all(principal: auth.Principal) -> bool:
    return here().is_admin(principal.user) and principal.may("admin_classic", *READ_SCOPES)


@routes.get("")
def get_users() -> Response:
    """Qlik: GET /users. Filter, sort and page."""
    auth.signed_in()
    return jsonify(_page(request.args.get("filter", "").strip()))


@routes.post("/actions/filter")
def post_filter() -> Response:
    """Qlik: POST /users/actions/filter: the filter in the body, for queries too long for an address."""
    auth.signed_in()
    return jsonify(_page(body.text(body.fields(), "filter", longest=100_000)))


def _page(text: str) -> dict[str, Any]:
    tenant = here()
    found = list(tenant.users())
    if text:
        expression = filters.parse(text, attributes(tenant))
        found = [user for user in found if expression.matches(user)]
    name, down = paging.sort_order(SORT_FIELDS, "+name")
    found.sort(key=lambda user: (_sort_key(user, name), user.id), reverse=down)
    return paging.page(found, visible)


def _sort_key(user: User, name: str) -> str:
    keys = {"_id": user.id, "id": user.id, "clientId": user.client_id or "", "createdAt": iso(user.created_at)}
    keys |= {"subject": user.subject, "email": user.email, "status": user.status, "name": user.name}
    return keys.get(name, "").lower()


@routes.post("")
def post_user() -> tuple[Response, int]:
    """Qlik: POST /users. 201; 409 for a subject that exists."""
    auth.admin("admin.users")
    tenant, given = here(), body.fields()
    subject = body.text(given, "subject", required=True)
    if tenant.user_by_subject(subject):
        raise ApiError(409, "USERS-9", "Conflict", "A user with this subject exists")
    name, now = body.text(given, "name") or subject, tenant.now()
    user = User(hex_id(), subject, name, body.text(given, "email"), _first_status(tenant, given), now, now)
    user.picture = body.text(given, "picture", longest=2048)
    user.role_ids = user_patch.role_ids(tenant, given.get("assignedRoles", []))
    tenant.memory.users[user.id] = user
    return jsonify(shown(user)), 201


def _first_status(tenant: Tenant, given: body.Fields) -> str:
    status = given.get("status", tenant.switches.users_post_status)
    if status == "invited" or (status == "active" and tenant.switches.users_post_active == "accept"):
        return str(status)
    if "status" not in given:
        return str(status)
    raise body.bad_request("status must be invited")


@routes.get("/me")
def get_me() -> AnyResponse:
    """Qlik: GET /users/me. 301 to the caller's user resource."""
    return redirect_to_own(f"/api/v1/users/{auth.signed_in().user.id}") or jsonify(visible(auth.signed_in().user))


def redirect_to_own(path: str) -> AnyResponse | None:
    """Return a 301 to `path` with the query kept, or None when the tenant is told not to redirect."""
    how = here().switches.me_redirect
    query = request.query_string.decode("latin-1")
    location = f"{path}?{query}" if query else path
    if how == "none":
        return None
    return redirect(location if how == "relative" else auth.own_origin() + location, 301)


@routes.get("/actions/count")
def get_count() -> Response:
    """Qlik: GET /users/actions/count."""
    auth.signed_in()
    return jsonify(total=len(here().memory.users))


@routes.get("/<user_id>")
def get_user(user_id: str) -> Response:
    """Qlik: GET /users/{id}."""
    auth.signed_in()
    return jsonify(visible(_found(user_id)))


@routes.patch("/<user_id>")
def patch_user(user_id: str) -> Response:
    """Qlik: PATCH /users/{id}. 204; 207 with the errors when a part of it failed."""
    auth.admin("admin.users")
    failures = user_patch.apply(here(), _found(user_id), body.operations())
    if not failures.items:
        return Response(status=204)
    return errors.envelope(failures.status, failures.items)


@routes.delete("/<user_id>")
def delete_user(user_id: str) -> Response:
    """Qlik: DELETE /users/{id}. 204; the user's sessions and tokens end with it."""
    auth.admin("admin.users")
    here().drop_user(_found(user_id))
    return Response(status=204)


def _found(user_id: str) -> User:
    user = here().memory.users.get(user_id)
    if user is None:
        raise errors.not_found("USERS-7")
    return user
