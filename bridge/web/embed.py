"""The embed contract: under `/t/<tenant>/`, and at the root for the tenant of this Host."""

from dataclasses import asdict
from itertools import chain
from typing import Annotated, Any

from flask import Blueprint, Response, jsonify, request, send_from_directory
from pydantic import BaseModel, ConfigDict, Field

from bridge.errors import NotAllowed, UnknownTenant
from bridge.model import Path, Tenant, TenantState
from bridge.services import frames
from bridge.services.sessions import LIFETIME_S, digest
from bridge.web import cookies, csrf, current, identity, tokens
from bridge.web.bodies import parsed
from bridge.web.events import REFUSED_AFTER_ISSUE, Kind
from bridge.web.identity import Caller
from bridge.web.whence import whence

SAME_SITE = {"same-origin", "same-site"}

blueprint = Blueprint("embed", __name__)


class ClientEvent(BaseModel):
    """What a page may tell us: a kind, and nothing about anyone."""

    model_config = ConfigDict(frozen=True, extra="forbid", hide_input_in_errors=True)

    kind: Kind


class OldFrames(BaseModel):
    """Addresses of frames, as a page has them."""

    model_config = ConfigDict(frozen=True, extra="forbid", hide_input_in_errors=True)

    addresses: Annotated[list[str], Field(max_length=100)]


@blueprint.url_value_preprocessor
def _take_slug(_endpoint: str | None, values: dict[str, Any] | None) -> None:
    """Keep the slug of the address aside, so that one view serves both addresses."""
    current.about().slug = (values or {}).pop("tenant", None)


@blueprint.get("/config")
def get_config() -> Response:
    """Answer what legacy pages ask before they log in; public, as ids are no secrets."""
    tenant = _state().tenant
    return jsonify(
        loginTypes={"INTERACTIVE_LOGIN": "interactive-login", "JWT_LOGIN": "jwt-login"},
        currentLoginType="jwt-login",
        qlikWebIntegrationId=tenant.web_integration_id or "",
        tenantDomain=tenant.host.split("://")[1],
        appId=tenant.content.app_id,
        objId=tenant.content.object_id,
        issuer=tenant.issuer,
        keyid=tenant.key_id,
    )


@blueprint.get("/token")
def get_token() -> Response:
    state = _state()
    caller = identity.admitted(state)
    current.note_path(Path.JWT)
    current.bridge().stragglers.note(state, caller.identity, whence())
    current.bridge().shadow.offer(state, caller.identity)
    token = current.bridge().legacy.issue(state, caller.identity)
    current.bridge().history.note_person(state.tenant.slug, Path.JWT, caller.identity.subject.sub)
    return jsonify(token=token)


@blueprint.get("/session")
def get_session() -> Response:
    state = _state()
    return jsonify(_session(state, identity.admitted(state)))


@blueprint.post("/session")
def post_session() -> Response:
    """Trade an assertion for a session: our cookie on the same site, a bearer for a page of another one."""
    state = _state()
    vouched = identity.asserted()
    current.note_person(vouched)
    identity.admit(state, vouched)
    value = current.bridge().sessions.open(vouched)
    site = request.headers.get("Sec-Fetch-Site", "")
    bearer = {} if site in SAME_SITE else {"session": value, "expires_in": LIFETIME_S}
    answer = jsonify(_session(state, Caller(vouched, digest(value), by_bearer=False)) | bearer)
    if site != "cross-site":
        cookies.set_session(answer, value)
    return answer


@blueprint.delete("/session")
def delete_session() -> Response:
    """Sign out: end the session, and the person's tokens at this tenant, which would outlive it by hours.

    With an assertion there is no session to end; the portal's backend signs somebody out of the tenant that way.
    """
    state = _state()
    caller = identity.caller()  # also for somebody who is not admitted any more
    caller.check_csrf()
    is_trusted = state.tenant.trusts(caller.identity)
    if not is_trusted and not caller.anchor:
        raise NotAllowed  # there is neither a session to end here nor a token of theirs
    answer = Response(status=204)
    identity.end_session(answer)
    if is_trusted:
        identity.end_tokens([state], caller.identity)
    return answer


@blueprint.post("/access-token")
def post_access_token() -> Response:
    state = _state()
    caller = identity.admitted(state)
    caller.check_csrf()
    current.note_path(Path.OAUTH)
    bridge = current.bridge()
    token = bridge.broker.issue(state, caller.identity, rejected=request.headers.get("X-Rejected-Token", ""))
    bridge.renewals.saw(state.tenant.slug, token.key.sub)
    answer = tokens.written(token, request.headers.get("Accept"), bridge.clock())
    return Response(answer.body, headers=answer.headers)


@blueprint.get("/csrf-token")
def get_csrf_token() -> Response:
    return jsonify(csrfToken=csrf.token(identity.admitted(_state()).anchor))


@blueprint.post("/config")
def post_config() -> Response:
    """Answer what pages made from Qlik's OAuth sample ask for."""
    state = _state()
    caller = identity.admitted(state)
    caller.check_csrf()
    return jsonify(_sample_config(state.tenant) | {"userEmail": caller.identity.subject.email})


@blueprint.get("/app-sheets")
def get_app_sheets() -> Response:
    state = _state()
    return jsonify(current.bridge().app_content.sheets(state, identity.admitted(state).identity))


@blueprint.get("/hypercube")
def get_hypercube() -> Response:
    state = _state()
    found = current.bridge().app_content.hypercube(state, identity.admitted(state).identity)
    return jsonify(returnedDimension=found.dimension, returnedMeasure=found.measure)


@blueprint.get("/user-attributes")
def get_user_attributes() -> Response:
    """Answer who is signed in here, and who that is to the app: on pages made from Qlik's OAuth sample, a badge."""
    state = _state()
    asking = identity.admitted(state).identity
    reader = current.bridge().app_content.reader(state, asking)
    return jsonify(sessionUserId=asking.subject.sub, qlikUserId=reader)


@blueprint.post("/client-events")
def post_client_event() -> Response:
    state = _state()
    caller = identity.admitted(state)
    caller.check_csrf()
    event = parsed(ClientEvent)
    subject = caller.identity.subject
    current.events().note(state.tenant.slug, event.kind, subject.sub)
    if event.kind == REFUSED_AFTER_ISSUE and current.bridge().rollouts.path(state, subject) is Path.OAUTH:
        current.bridge().measures.note_rejection(state.tenant.slug, subject.sub)
    return Response(status=204)


@blueprint.post("/frames")
def post_frames() -> Response:
    """Answer what stands for old frames on the new path; a body, as no log keeps what an address may hold."""
    identity.admitted(_state()).check_csrf()
    found = map(frames.replacement, parsed(OldFrames).addresses)
    return jsonify(replacements=[asdict(each) | {"verdict": each.verdict} for each in found])


@blueprint.get("/embed.js")
def get_embed_js() -> Response:
    _state()
    return send_from_directory("static", "embed.js")


def _state() -> TenantState:
    """Return the tenant of the address, else that of the Host, else the default one. Raises UnknownTenant."""
    named = current.about().slug
    if named is not None:
        return current.tenant(named)
    host = request.host.lower()
    bridge = current.bridge()
    states, unreadable = bridge.tenants.read()
    claimed = (slug for slug, state in states.items() if host in state.tenant.portal_hosts)
    lost = (slug for slug, each in unreadable.items() if host in each.portal_hosts)
    slug = next(chain(claimed, lost), bridge.settings.default_tenant)
    if slug is None:
        raise UnknownTenant
    return current.tenant(slug)


def _session(state: TenantState, caller: Caller) -> dict[str, Any]:
    tenant, subject = state.tenant, caller.identity.subject
    if not identity.is_quiet():
        current.bridge().shadow.offer(state, caller.identity)
    path = current.bridge().rollouts.path(state, subject)
    current.note_path(path)
    if path is Path.JWT:  # on the other path it is the token that counts, once it is issued
        current.bridge().history.note_person(tenant.slug, path, subject.sub)
    else:  # a page asks for its token once in hours, and for this each minute
        current.bridge().renewals.saw(tenant.slug, subject.sub)
    return {
        "path": path.value,
        "stage": state.rollout.stage.value,
        "killed": state.is_killed,
        "host": tenant.host,
        "clientId": tenant.issuing_client.id if tenant.issuing_client else "",
        "webIntegrationId": tenant.web_integration_id or "",
        "embedScript": tenant.embed_script,
        "csrf": csrf.token(caller.anchor),
        "subject": {"sub": subject.sub, "name": subject.name, "groups": sorted(subject.groups)},
    }


def _sample_config(tenant: Tenant) -> dict[str, str]:
    content = tenant.content
    return {
        "tenantUri": tenant.host,
        "oAuthFrontEndClientId": tenant.issuing_client.id if tenant.issuing_client else "",
        "appId": content.app_id,
        "sheetId": content.sheet_id,
        "objectId": content.object_id,
        "fieldId": content.field_id,
        "assistantId": content.assistant_id,
        "agenticAssistantId": content.agentic_assistant_id,
        "hypercubeDimension": content.hypercube_dimension,
        "hypercubeMeasure": content.hypercube_measure,
        "masterDimension": content.master_dimension,
        "masterMeasure": content.master_measure,
    }
