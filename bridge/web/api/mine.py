"""Who asks, and the settings of the process that answers."""

from flask import Blueprint, Response, jsonify

from bridge.roles import Role
from bridge.web import current
from bridge.web.api.operations import described
from bridge.web.api.shapes import Granted, SettingsAnswer, WhoAmI
from bridge.web.operator import operator, reader


def install(blueprint: Blueprint) -> None:
    blueprint.get("/whoami")(get_whoami)
    blueprint.get("/settings")(get_settings)


@described("Say who asks", answer=WhoAmI)
def get_whoami() -> Response:
    who = operator()
    ordered = sorted(who.grants, key=lambda each: (each.tenant or "", each.role))
    grants = [Granted(role=each.role, tenant=each.tenant) for each in ordered]
    return jsonify(WhoAmI(actor=who.actor, grants=grants).model_dump(mode="json"))


@described("Read the settings", answer=SettingsAnswer, role=Role.ADMIN)
def get_settings() -> Response:
    """Those of this process, read at its start; secrets are masked."""
    reader(needed=Role.ADMIN)
    return jsonify(settings=current.bridge().settings.model_dump(mode="json"))
