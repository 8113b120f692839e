"""The kill switch of all tenants, on the console's home."""

from collections.abc import Callable

from flask import Blueprint, make_response, redirect, request, url_for
from flask.typing import ResponseReturnValue

from bridge.errors import BadRequest
from bridge.plan import Order
from bridge.web import current
from bridge.web.admin.home import show
from bridge.web.api.shapes import Because
from bridge.web.bodies import parsed_form
from bridge.web.operator import changer
from bridge.web.problems import STATUS


def install(blueprint: Blueprint) -> None:
    blueprint.post("/kill")(post_kill_all)
    blueprint.post("/revive")(post_revive_all)


def post_kill_all() -> ResponseReturnValue:
    return _switch(current.bridge().kills.kill_all)


def post_revive_all() -> ResponseReturnValue:
    return _switch(current.bridge().kills.revive_all)


def _switch(change: Callable[[Order], object]) -> ResponseReturnValue:
    who = changer()
    try:
        reason = parsed_form(Because, {"reason": request.form.get("reason", "")}).reason
    except BadRequest as error:
        return make_response(show(who, problem=error.message), STATUS[BadRequest])
    change(Order(who.actor, reason, current.request_id()))
    return redirect(url_for("admin.index"), 303)
