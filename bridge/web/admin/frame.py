"""What every page of the console shows: who is looking, and what is on for all tenants."""

from typing import Any

from flask import render_template

from bridge.model import TenantState
from bridge.roles import Role
from bridge.services.guard_report import holding_document
from bridge.web import current
from bridge.web.operator import Operator


def page(template: str, who: Operator, **shown: Any) -> str:  # noqa: ANN401 - whatever the template shows
    """Return a page. Raises StoreError."""
    bridge = current.bridge()
    return render_template(
        template,
        who=who,
        is_admin=who.may(Role.ADMIN),
        is_demo=bridge.settings.is_demo,
        has_sign_in=bridge.settings.has_sign_in_page,
        csrf_token=who.csrf_token(),
        kill_all=who.shown(bridge.tenants.kill_all()),
        may_kill_all=who.may(Role.OPERATOR),
        **shown,
    )


def tenant_page(template: str, who: Operator, state: TenantState, **shown: Any) -> str:  # noqa: ANN401 - as above
    """Return a page about one tenant. Raises StoreError."""
    slug = state.tenant.slug
    held = current.bridge().guardrails.holding(slug)
    holding = holding_document(held, state) if held else None
    return page(template, who, state=state, holding=holding, may_change=who.may(Role.OPERATOR, slug), **shown)
