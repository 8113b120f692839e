"""What happened at a tenant over time."""

from flask import Blueprint, Response, jsonify
from pydantic import Field

from bridge.history import Series, Span
from bridge.texts import iso
from bridge.web import current
from bridge.web.api.operations import described
from bridge.web.api.shapes import PAGE, Shape
from bridge.web.bodies import parsed_query
from bridge.web.operator import reader


class HistoryQuery(Shape):
    """How far to look back: 24 hours, or 30 days."""

    span: Span = Span.DAY


class TroubleAnswer(Shape):
    """An error code that people met when they asked for a token, a session or a legacy JWT."""

    code: str
    times: int
    last_at: str


class HistoryAnswer(Shape):
    """Slots in UTC, the oldest first; the last one is going on."""

    span: Span
    slot_s: int = Field(description="The length of a slot in seconds: an hour, or a day.")
    starts: list[str]
    values: dict[Series, list[int | None]] = Field(description="By series, one value a slot; null: not known.")
    troubles: list[TroubleAnswer] = Field(description="In the time of these slots, the newest first.")


def install(blueprint: Blueprint) -> None:
    blueprint.get("/tenants/<slug>/history")(get_history)


@described("Look back at a tenant", answer=HistoryAnswer, query=HistoryQuery)
def get_history(slug: str) -> Response:
    """Tell by hour or by day how many people used which path, what was issued, called and proven."""
    reader(slug)
    span = parsed_query(HistoryQuery).span
    current.tenant(slug)
    history, now = current.bridge().history, current.bridge().clock()
    found = history.look_back(slug, span, now)
    troubles = history.troubles(slug, found.starts[0], PAGE)
    answer = HistoryAnswer(
        span=span,
        slot_s=span.slot_s,
        starts=[iso(start) for start in found.starts],
        values={series: list(values) for series, values in found.values.items()},
        troubles=[TroubleAnswer(code=each.code, times=each.times, last_at=iso(each.last_at)) for each in troubles],
    )
    return jsonify(answer.model_dump(mode="json"))
