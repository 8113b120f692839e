"""What happened at one tenant over time, and the last errors explained: what they mean, and what to change where."""

from dataclasses import dataclass
from typing import Any

from flask import Blueprint, request
from flask.typing import ResponseReturnValue

from bridge.explanations import OF_PAGES, Explanation, explain
from bridge.history import DAY_S, LookBack, Span, Trouble
from bridge.texts import iso
from bridge.web import current
from bridge.web.admin.frame import tenant_page
from bridge.web.figures import figures, spark
from bridge.web.insights import share
from bridge.web.operator import reader

TROUBLES = 20


@dataclass(frozen=True, slots=True)
class Explained:
    """A trouble with what is known of its code; nothing where another version of the bridge noted it."""

    trouble: Trouble
    explanation: Explanation | None

    @property
    def last_at(self) -> str:
        return iso(self.trouble.last_at)

    @property
    def weight(self) -> tuple[bool, int]:
        """Return how bad it is: what a page does wrong weighs less than what the tenant or the bridge refuses."""
        return self.trouble.code not in OF_PAGES, self.trouble.times


def install(blueprint: Blueprint) -> None:
    blueprint.get("/tenants/<slug>/trends")(get_trends)


def get_trends(slug: str) -> ResponseReturnValue:
    """Show charts of the last 24 hours or 30 days, and what went wrong in the last 24 hours."""
    who, asked = reader(slug), request.args.get("span", "")
    state = current.tenant(slug)
    span = Span(asked) if asked in set(Span) else Span.DAY
    look = _look_back(slug, span)
    return tenant_page(
        "console_trends.html",
        who,
        state,
        span=span,
        figures=figures(look, current.bridge().settings.limit.calls_per_minute),
        starts=[iso(start) for start in look.starts],
        troubles=_troubles(slug),
    )


def glance(slug: str) -> dict[str, Any]:
    """Return what `console_glance.html` shows: the share of paths, and the worst trouble. Raises StoreError."""
    look = _look_back(slug, Span.DAY)
    worst = max(_troubles(slug), key=lambda each: each.weight, default=None)
    return {"spark": spark(look), "share": share(look), "worst": worst}


def _look_back(slug: str, span: Span) -> LookBack:
    bridge = current.bridge()
    return bridge.history.look_back(slug, span, bridge.clock())


def _troubles(slug: str) -> list[Explained]:
    """Return what went wrong in the last 24 hours, the newest first."""
    bridge = current.bridge()
    found = bridge.history.troubles(slug, bridge.clock() - DAY_S, TROUBLES)
    return [Explained(trouble, explain(trouble.code)) for trouble in found]
