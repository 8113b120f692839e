"""A tenant's declaration: everybody who sees the tenant may read it, admins of all tenants may change it."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from flask import Blueprint, make_response, redirect, request, url_for
from flask.typing import ResponseReturnValue

from bridge.errors import BadRequest, Conflict, Mistake
from bridge.model import Tenant, TenantState
from bridge.roles import Role
from bridge.services.tenant_changes import Author
from bridge.services.tenants import Change
from bridge.trail import AuditEntry, AuditFilter
from bridge.web import current
from bridge.web.admin.declaration import (
    Document,
    changed_by,
    compacted,
    document_of,
    placed,
    sections,
    texts_of,
    with_values,
)
from bridge.web.admin.frame import page, tenant_page
from bridge.web.admin.versions import REVISION, seen_revision
from bridge.web.api.shapes import Because
from bridge.web.bodies import parsed_form
from bridge.web.csrf import FIELD
from bridge.web.operator import Operator, changer, reader
from bridge.web.problems import STATUS
from bridge.web.written import LONGEST_REASON

SHOWN_CHANGES = 5
MOST_CHANGES = 50
NEW = "new"
STARTS_AS = {
    name: each.get_default(call_default_factory=True)
    for name, each in Tenant.model_fields.items()
    if not each.is_required() and name in {"embed_script", "scope", "sync_max_age_s", "quiet_days"}
}


@dataclass(frozen=True, slots=True)
class Draft:
    """A form on its way: what it holds, what is wrong with it, what it would change, and what came in between."""

    texts: Mapping[str, str]
    mistakes: Sequence[Mistake] = ()
    change: Change | None = None
    missed: Sequence[AuditEntry] = ()
    reason: str = ""

    @property
    def differences(self) -> list[tuple[str, Any, Any]]:
        return [(each.field, each.before, each.after) for each in self.change.differences] if self.change else []

    @property
    def came_between(self) -> list["Told"]:
        return [_told(each) for each in self.missed]


Told = tuple[Mapping[str, Any], list[tuple[str, Any, Any]]]
"""An event of the audit, and what it changed field by field."""


def install(blueprint: Blueprint) -> None:
    blueprint.get(f"/tenants/{NEW}")(get_new_tenant)
    blueprint.post(f"/tenants/{NEW}")(post_new_tenant)
    blueprint.get("/tenants/<slug>/set-up")(get_set_up)
    blueprint.post("/tenants/<slug>/set-up")(post_set_up)


def get_set_up(slug: str) -> ResponseReturnValue:
    who = reader(slug)
    return _page(who, current.tenant(slug), _filled_in(slug) if who.may(Role.ADMIN) else None)


def post_set_up(slug: str) -> ResponseReturnValue:
    """Show what would change, or change it. Hosts and key files reach beyond one tenant: for admins of all."""
    who = changer(None, Role.ADMIN)
    state = current.tenant(slug)
    document, sent = document_of(state.tenant), _sent()
    try:
        change = _carried_out(slug, who, changed_by(document, sent), seen_revision())
    except BadRequest as error:
        draft = Draft(sent, error.mistakes or [("", error.message)], reason=_reason())
        return make_response(_page(who, state, draft), STATUS[BadRequest])
    except Conflict:
        return make_response(_page(who, current.tenant(slug), _late(slug, sent)), STATUS[Conflict])
    if change is not None:
        return _page(who, state, Draft(sent, change=change, reason=_reason()))
    return redirect(url_for("admin.get_set_up", slug=slug, done="changed"), 303)


def get_new_tenant() -> ResponseReturnValue:
    return _new_page(reader(None, Role.ADMIN), Draft(texts_of(STARTS_AS, sections({}, is_new=True))))


def post_new_tenant() -> ResponseReturnValue:
    who = changer(None, Role.ADMIN)
    sent = _sent()
    slug = sent.get("slug", "").strip()
    try:
        change = _carried_out(slug, who, changed_by({}, sent), None)
    except BadRequest as error:
        draft = Draft(sent, error.mistakes or [("", error.message)], reason=_reason())
        return make_response(_new_page(who, draft), STATUS[BadRequest])
    except Conflict:
        taken = [("slug", "is taken by another tenant; choose another one")]
        return make_response(_new_page(who, Draft(sent, taken, reason=_reason())), STATUS[Conflict])
    if change is not None:
        return _new_page(who, Draft(sent, change=change, reason=_reason()))
    return redirect(url_for("admin.get_tenant", slug=slug, done="created"), 303)


def _carried_out(slug: str, who: Operator, document: Document, seen: int | None) -> Change | None:
    """Do it, or where the form only asks return what would change. *seen* None: there was no such tenant.

    Raises BadRequest with every mistake, Conflict.
    """
    bridge = current.bridge()
    known = bridge.tenants.all().get(slug)
    if (known.revision if known else None) != seen:
        raise Conflict
    if "preview" in request.form:
        return bridge.tenant_changes.preview(slug, document)
    mistakes: list[Mistake] = []
    try:
        reason = parsed_form(Because, {"reason": _reason()}).reason
    except BadRequest as error:
        reason, mistakes = "", list(error.mistakes)
    try:
        bridge.tenant_changes.preview(slug, document)
    except BadRequest as error:
        mistakes += error.mistakes or [("", error.message)]
    if mistakes:
        raise BadRequest.listing(mistakes)
    bridge.tenant_changes.put(slug, document, seen=seen or 0, author=Author(who.actor, reason, current.request_id()))
    return None


def _late(slug: str, sent: Mapping[str, str]) -> Draft:
    """Keep what was typed; what the form left as it was follows what somebody else made of it meanwhile."""
    state = current.tenant(slug)
    missed = _changes(slug, max(0, state.revision - (seen_revision() or 0)))
    now = document_of(state.tenant)
    old = now
    for entry in missed:  # the newest first
        old = with_values(old, entry.document()["before"] or {})
    form = sections(now)
    stood, stands = texts_of(old, form), texts_of(now, form)
    merged = {
        name: stands.get(name, "") if stood.get(name, "") == text.strip() else text for name, text in sent.items()
    }
    return _draft(slug, now, Draft(merged, missed=missed, reason=_reason()))


def _draft(slug: str, document: Document, draft: Draft) -> Draft:
    """Return the draft with what it would change, or with what is wrong with it."""
    try:
        change = current.bridge().tenant_changes.preview(slug, changed_by(document, draft.texts))
    except BadRequest as error:
        return replace(draft, mistakes=error.mistakes or [("", error.message)])
    return replace(draft, change=change)


def _filled_in(slug: str) -> Draft | None:
    """Return the form as it stood before the change that the address names, to undo it; None for the present one."""
    wanted = request.args.get("undo", "")
    found = next((each for each in _changes(slug, SHOWN_CHANGES) if str(each.id) == wanted), None)
    if found is None:
        return None
    now = document_of(current.tenant(slug).tenant)
    event = found.document()
    keys = (event["after"] or {}).keys() | (event["before"] or {}).keys()
    before = {key: (event["before"] or {}).get(key) for key in keys if not key.endswith(".secret")}
    undone = with_values(now, before)
    reason = f"Undo: {event['reason']}"[:LONGEST_REASON]
    return _draft(slug, now, Draft(texts_of(undone, sections(undone)), reason=reason))


def _changes(slug: str, count: int) -> list[AuditEntry]:
    asked = AuditFilter(tenant=slug, action="tenant.change")
    return list(current.bridge().audit.page(asked, limit=MOST_CHANGES))[:count]


def _told(entry: AuditEntry) -> Told:
    event = entry.document()
    before, after = event["before"] or {}, event["after"] or {}
    return event, [(name, before.get(name), after.get(name)) for name in before | after]


def _sent() -> dict[str, str]:
    own = {FIELD, REVISION, "reason", "preview", "change"}
    sent = {name: value.replace("\r\n", "\n") for name, value in request.form.items() if name not in own}
    return compacted(sent)


def _reason() -> str:
    return request.form.get("reason", "")


def _page(who: Operator, state: TenantState, draft: Draft | None) -> str:
    document = document_of(state.tenant)
    texts = texts_of(document, sections(document)) if draft is None else draft.texts
    shown = changed_by(document, texts)
    form = sections(shown)
    at, rest = placed(draft.mistakes if draft else (), form)
    return tenant_page(
        "console_set_up.html",
        who,
        state,
        form=form,
        texts=texts,
        secrets=state.tenant.secrets().keys(),
        at=at,
        rest=rest,
        draft=draft or Draft(texts),
        changes=[_told(each) for each in _changes(state.tenant.slug, SHOWN_CHANGES)],
        done=request.args.get("done") == "changed",
    )


def _new_page(who: Operator, draft: Draft) -> str:
    form = sections(changed_by({}, draft.texts), is_new=True)
    at, rest = placed(draft.mistakes, form)
    return page("console_new_tenant.html", who, form=form, texts=draft.texts, secrets=(), at=at, rest=rest, draft=draft)
