"""Operator tokens: list, make, revoke."""

from http import HTTPStatus

from flask import Blueprint, Response, jsonify
from flask.typing import ResponseReturnValue

from bridge.errors import UnknownTenant
from bridge.roles import Grant, OperatorToken, Role
from bridge.texts import iso
from bridge.web import current
from bridge.web.api.operations import described
from bridge.web.api.shapes import Because, TokenFacts, TokenList, TokenMade, TokenRequest
from bridge.web.bodies import parsed
from bridge.web.operator import changer, reader


def install(blueprint: Blueprint) -> None:
    blueprint.get("/operator-tokens")(get_tokens)
    blueprint.post("/operator-tokens")(post_token)
    blueprint.post("/operator-tokens/<name>/revoke")(post_token_revoke)


@described("List operator tokens", answer=TokenList, role=Role.ADMIN)
def get_tokens() -> Response:
    reader(needed=Role.ADMIN)
    return jsonify(tokens=[facts(each).model_dump() for each in current.bridge().operators.tokens()])


@described(
    "Make an operator token", answer=TokenMade, status=201, body=TokenRequest, role=Role.ADMIN, raises=(UnknownTenant,)
)
def post_token() -> ResponseReturnValue:
    """Its value is shown this once. A name that is taken is refused, so a request that is repeated makes no second."""
    who = changer(needed=Role.ADMIN)
    wanted = parsed(TokenRequest)
    value = make(wanted, who.actor)
    made = next(each for each in current.bridge().operators.tokens() if each.name == wanted.name)
    return jsonify(facts(made).model_dump() | {"token": value}), HTTPStatus.CREATED


@described("Revoke an operator token", answer=Because, body=Because, role=Role.ADMIN)
def post_token_revoke(name: str) -> Response:
    who = changer(needed=Role.ADMIN)
    because = parsed(Because)
    current.bridge().operators.revoke(name, actor=who.actor, reason=because.reason, request_id=current.request_id())
    return jsonify(because.model_dump())


def make(wanted: TokenRequest, actor: str) -> str:
    """Return the value of a new token. Raises BadRequest, UnknownTenant, StoreError."""
    if wanted.tenant is not None:
        current.tenant(wanted.tenant)
    grant = Grant(wanted.role, wanted.tenant)
    return current.bridge().operators.new_token(
        wanted.name, actor=actor, grant=grant, reason=wanted.reason, request_id=current.request_id()
    )


def facts(token: OperatorToken) -> TokenFacts:
    grant = token.grant
    return TokenFacts(name=token.name, role=grant.role, tenant=grant.tenant, created_at=iso(token.created_at))
