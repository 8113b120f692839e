"""/api/v1/licenses, to be read, and whether new users get a licence by themselves."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from flask import Blueprint, Response, jsonify, request

from bridge.sandbox import auth, body, errors, filters, paging
from bridge.sandbox.errors import ApiError
from bridge.sandbox.state import Licence, User, iso
from bridge.sandbox.tenant import Tenant, here

if TYPE_CHECKING:
    from werkzeug.wrappers import Response as AnyResponse

routes = Blueprint("licenses", __name__, url_prefix="/api/v1/licenses")

UNITS = {"professional": 10, "analyzer": 100}
SETTINGS = {"autoAssignAnalyzer": "analyzer", "autoAssignProfessional": "professional"}
SORTED_BY = {"subject": "subject", "type": "kind", "created": "created_at"}
BOOLEANS = {"": None, "true": True, "false": False}
ALWAYS = "./."
ABOUT = {"origin": "Internal", "product": "Qlik Sense Enterprise SaaS", "status": "Ok", "trial": False}


def take(tenant: Tenant, user: User) -> None:
    """Give somebody who opens an app a licence, where that is on and one is left. Nobody is refused for want of one."""
    memory = tenant.memory
    if user.subject in memory.licences:
        return
    kinds = [kind for kind in UNITS if kind in memory.licences_by_themselves and _used(tenant, kind) < UNITS[kind]]
    if kinds:
        memory.licences[user.subject] = Licence(user.subject, kinds[0], tenant.now())


def _used(tenant: Tenant, kind: str) -> int:
    return sum(licence.kind == kind for licence in tenant.memory.licences.values())


def settings(tenant: Tenant) -> dict[str, bool]:
    return {name: kind in tenant.memory.licences_by_themselves for name, kind in SETTINGS.items()}


def shown(licence: Licence) -> dict[str, Any]:
    created = iso(licence.created_at)
    return {"subject": licence.subject, "type": licence.kind, "created": created, "excess": False}


@routes.errorhandler(ApiError)
def say(refusal: ApiError) -> AnyResponse:
    """Qlik: errors of this area repeat themselves beside `errors`."""
    refusal.extra = {"error": refusal.code, "message": refusal.title, **refusal.extra}
    return errors.render(refusal)


@routes.get("/settings")
def get_settings() -> Response:
    """Qlik: GET /licenses/settings."""
    auth.admin()
    return jsonify(settings(here()))


@routes.put("/settings")
def put_settings() -> Response:
    """Qlik: PUT /licenses/settings. What the body leaves out stays."""
    auth.admin()
    given = {name: value for name, value in body.fields().items() if name in SETTINGS}
    if not all(isinstance(value, bool) for value in given.values()):
        raise body.bad_request(f"{' and '.join(SETTINGS)} must be true or false")
    wanted = settings(here()) | given
    here().memory.licences_by_themselves = {kind for name, kind in SETTINGS.items() if wanted[name]}
    return jsonify(settings(here()))


@routes.get("/overview")
def get_overview() -> Response:
    """Qlik: GET /licenses/overview, which names no 403: whoever is signed in may ask."""
    auth.signed_in()
    tenant = here()
    units = [{"name": kind, "units": units, "unitsUsed": _used(tenant, kind)} for kind, units in UNITS.items()]
    allotments = [{**each, "overage": 0, "usageClass": "assigned"} for each in units]
    names = {"licenseKey": "", "licenseNumber": tenant.id, "secondaryNumber": "", "version": "1"}
    more = {"parameters": [], "updated": iso(tenant.created_at), "valid": ALWAYS}
    return jsonify({**ABOUT, **names, **more, "allotments": allotments})


@routes.get("/status")
def get_status() -> Response:
    """Qlik: GET /licenses/status."""
    auth.signed_in()
    return jsonify({**ABOUT, "deactivated": False, "extensionStatus": "Unavailable", "type": "Signed", "valid": ALWAYS})


@routes.get("/assignments")
def get_assignments() -> Response:
    """Qlik: GET /licenses/assignments, by `filter` on subject and type; `orphans` are those without a user."""
    auth.admin()
    tenant, orphans = here(), request.args.get("orphans", "").strip().lower()
    if orphans not in BOOLEANS:
        raise body.bad_request("orphans must be true or false")
    found = [each for each in tenant.memory.licences.values() if not BOOLEANS[orphans] or _is_orphan(tenant, each)]
    if text := request.args.get("filter", "").strip():
        expression = filters.parse(text, _attributes())
        found = [licence for licence in found if expression.matches(licence)]
    name, down = paging.sort_order(SORTED_BY, "subject")
    found.sort(key=lambda licence: getattr(licence, SORTED_BY[name]), reverse=down)
    return jsonify(paging.page(found, shown, cursor="page"))


def _is_orphan(tenant: Tenant, licence: Licence) -> bool:
    return tenant.user_by_subject(licence.subject) is None


def _attributes() -> filters.Attributes:
    return filters.Attributes(
        {"subject": lambda licence: [licence.subject], "type": lambda licence: [licence.kind]}, frozenset()
    )
