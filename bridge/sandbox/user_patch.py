"""PATCH /api/v1/users/{id}: a list of operations, each of which may fail on its own."""

from __future__ import annotations

import copy
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from bridge.sandbox import body, errors
from bridge.sandbox.errors import ApiError

if TYPE_CHECKING:
    from bridge.sandbox.state import Group, User
    from bridge.sandbox.tenant import Tenant

MULTI_STATUS = 207
SET_OPS = ("replace", "set")
ADD_OPS = ("add",)
REMOVE_OPS = ("remove-value",)
STATUSES = ("active", "disabled")
PREFERRED = ("preferredLocale", "preferredZoneinfo", "locale", "zoneinfo")
INVITE_S = 14 * 86400


@dataclass
class Failures:
    """What went wrong, and the status that says so."""

    status: int
    items: list[dict[str, Any]]


def apply(tenant: Tenant, user: User, operations: list[body.Fields]) -> Failures:
    """Apply what can be applied; 207 when some did and some did not, 400 when none did."""
    draft, items = copy.deepcopy(user), []
    for operation in operations:
        try:
            _apply_one(tenant, draft, operation)
        except ApiError as error:
            items.append(errors.item("/api/v1/users", error.status, "USERS-400", error.title, error.detail))
    partial = 0 < len(items) < len(operations)
    if not items or (partial and tenant.switches.partial_patch == MULTI_STATUS):
        draft.updated_at = tenant.now()
        vars(user).update(vars(draft))
    return Failures(tenant.switches.partial_patch if partial else 400, items)


def _apply_one(tenant: Tenant, user: User, operation: body.Fields) -> None:
    op, path, value = operation.get("op"), str(operation.get("path", "")), operation.get("value")
    name = path.removeprefix("/").removesuffix("/-")
    if name == "assignedRoles":
        user.role_ids = _merged(op, user.role_ids, role_ids(tenant, value))
    elif name == "assignedGroups":
        _patch_groups(tenant, user, op, value)
    elif name == "inviteExpiry" and op in ("renew", *SET_OPS):
        user.invite_expiry = tenant.now() + INVITE_S
    elif op in SET_OPS and isinstance(value, str):
        _set_text(user, name, value)
    else:
        raise body.bad_request(f"Cannot {op} {path}")


def _set_text(user: User, name: str, value: str) -> None:
    if name in ("name", "email", "picture"):
        setattr(user, name, value)
    elif name in PREFERRED:
        user.preferred[name] = value
    elif name == "status" and value in STATUSES:
        user.status = value
    else:
        raise body.bad_request(f"Cannot set {name} to {value!r}")


def _merged(op: object, held: list[str], named: list[str]) -> list[str]:
    if op in SET_OPS:
        return named
    if op in ADD_OPS:
        return list(dict.fromkeys([*held, *named]))
    if op in REMOVE_OPS:
        return [entry for entry in held if entry not in named]
    raise body.bad_request(f"{op} is no operation")


def _patch_groups(tenant: Tenant, user: User, op: object, value: object) -> None:
    """Idp memberships come from logins, so a replace leaves them unless the tenant is told otherwise."""
    named = [_group(tenant, entry) for entry in _entries(value)]
    if tenant.switches.idp_groups_patch == "refuse" and any(group.provider_type == "idp" for group in named):
        raise body.bad_request("Memberships of idp groups come from the identity provider")
    merged = _merged(op, user.group_ids, [group.id for group in named])
    if op in SET_OPS and tenant.switches.assigned_groups_replace == "custom":
        kept = [group.id for group in tenant.groups_of(user) if group.provider_type == "idp"]
        merged = list(dict.fromkeys([*kept, *merged]))
    user.group_ids = merged


def _group(tenant: Tenant, entry: body.Fields) -> Group:
    """Find a group by `{id}` or by `{name, providerType}`."""
    found = tenant.memory.groups.get(str(entry.get("id")))
    if found is None and "id" not in entry:
        found = tenant.group_named(str(entry.get("name")), str(entry.get("providerType")))
    if found is None:
        raise body.bad_request("An assigned group does not exist")
    return found


def role_ids(tenant: Tenant, value: object) -> list[str]:
    """Read `[{id}]` or `[{name}]`, all of which must exist."""
    roles = [tenant.role(str(e["id"])) if "id" in e else tenant.role_named(str(e.get("name"))) for e in _entries(value)]
    if None in roles:
        raise body.bad_request("An assigned role does not exist")
    return [role.id for role in roles if role]


def _entries(value: object) -> list[body.Fields]:
    entries = value if isinstance(value, list) else [value]
    objects = [entry for entry in entries if isinstance(entry, dict)]
    if len(objects) < len(entries):
        raise body.bad_request("value must be a list of objects")
    return objects
