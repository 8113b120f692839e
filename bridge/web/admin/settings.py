"""Settings as they are in force, and the tokens of operators' machines. For admins of all tenants."""

from typing import Any

from flask import Blueprint, make_response, redirect, request, url_for
from flask.typing import ResponseReturnValue

from bridge.errors import BadRequest, UnknownTenant
from bridge.roles import Role
from bridge.settings import MASK
from bridge.web import current
from bridge.web.admin.frame import page
from bridge.web.admin.home import own_tenants
from bridge.web.api.shapes import Because, TokenRequest
from bridge.web.api.tokens import facts, make
from bridge.web.bodies import parsed_form
from bridge.web.csrf import FIELD
from bridge.web.operator import Operator, changer, reader
from bridge.web.problems import STATUS


def install(blueprint: Blueprint) -> None:
    blueprint.get("/settings")(get_settings)
    blueprint.post("/settings/tokens")(post_token)
    blueprint.post("/settings/tokens/<name>/revoke")(post_token_revoke)


def get_settings() -> ResponseReturnValue:
    return _page(reader(needed=Role.ADMIN))


def post_token() -> ResponseReturnValue:
    """Make a token, and show it this once."""
    who = changer(needed=Role.ADMIN)
    fields = {name: value for name, value in request.form.items() if name != FIELD}
    try:
        return make_response(_page(who, made=make(parsed_form(TokenRequest, fields), who.actor)), 201)
    except (BadRequest, UnknownTenant) as error:
        return make_response(_page(who, problem=error.message, fields=fields), STATUS[type(error)])


def post_token_revoke(name: str) -> ResponseReturnValue:
    who = changer(needed=Role.ADMIN)
    try:
        reason = parsed_form(Because, {"reason": request.form.get("reason", "")}).reason
        current.bridge().operators.revoke(name, actor=who.actor, reason=reason, request_id=current.request_id())
    except BadRequest as error:
        return make_response(_page(who, problem=error.message), STATUS[type(error)])
    return redirect(url_for("admin.get_settings"), 303)


def _page(who: Operator, **shown: Any) -> str:  # noqa: ANN401 - what one form adds
    bridge = current.bridge()
    return page(
        "console_settings.html",
        who,
        settings={name: _told(value) for name, value in bridge.settings.model_dump(mode="json").items()},
        tokens=[facts(each) for each in bridge.operators.tokens()],
        roles=list(Role),
        tenants=own_tenants(who),
        **{"made": "", "problem": "", "fields": {}} | shown,
    )


def _told(value: object) -> str:
    """Return a setting for people; of a secret, whether it is set."""
    if value is None or value in ("", []):
        return "not set"
    if value == MASK or (isinstance(value, list) and set(map(str, value)) == {MASK}):
        return "set (secret)"
    return ", ".join(map(str, value)) if isinstance(value, list) else str(value)
