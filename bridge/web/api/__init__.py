"""The JSON API for operators. Each view says what it takes and answers; the OpenAPI document is made from that."""

from flask import Blueprint

from bridge.web.api import (
    audit,
    budget,
    document,
    history,
    mine,
    people,
    plan,
    proof,
    stragglers,
    tenants,
    tokens,
    watch,
)
from bridge.web.api.tenants import tenant_document

__all__ = ["blueprint", "tenant_document"]

blueprint = Blueprint("api", __name__)
for _part in (tenants, plan, proof, stragglers, watch, history, budget, people, audit, tokens, mine, document):
    _part.install(blueprint)
