"""The charts of a tenant: which series stand where, and what each says. Pure."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime

from bridge.history import LookBack, Series, Span
from bridge.web import insights
from bridge.web.charts import Drawing, Frame, Marks, Panel, Trace, draw, is_known

EVERY_HOURS = 6
MONDAY = 0
LOW = 56.0
"""Height of a panel below the main one."""
SPARK = Frame(width=120, left=0, right=0, top=0)


@dataclass(frozen=True, slots=True)
class Row:
    """Some series on one scale: each with its name and its look."""

    marks: Marks
    traces: Sequence[tuple[Series, str, str]]
    height: float = 150.0
    has_limit: bool = False


@dataclass(frozen=True, slots=True)
class Plan:
    """A chart: its title, what it counts, what will be here while there is nothing, and what it says."""

    key: str
    title: str
    counts: str
    empty: str
    says: Callable[[LookBack, int], str | None]
    rows: Sequence[Row]


@dataclass(frozen=True, slots=True)
class Figure:
    """A chart with its numbers; no drawing while nothing is known."""

    plan: Plan
    insight: str
    drawing: Drawing | None
    traces: Sequence[Trace]


def _alone(says: Callable[[LookBack], str | None]) -> Callable[[LookBack, int], str | None]:
    """Return what says something for which the limit does not matter."""
    return lambda look, _room: says(look)


PATHS = Row(
    Marks.COLUMNS,
    ((Series.OAUTH_PEOPLE, "oauth", "full"), (Series.JWT_PEOPLE, "jwt", "hatched")),
    height=222,
)
PLANS = (
    Plan(
        "paths",
        "Share of paths",
        "People by the path that they got",
        "Who came on which path will show here, as soon as somebody opens a page of this tenant.",
        _alone(insights.share),
        (PATHS,),
    ),
    Plan(
        "tokens",
        "Tokens",
        "Tokens issued; below, requests that got none, and tokens that the tenant refused",
        "Who got a token and who did not will show here, as soon as somebody is on the path oauth.",
        _alone(insights.tokens),
        (
            Row(Marks.COLUMNS, ((Series.ISSUED, "issued", "full"),)),
            Row(
                Marks.LINES,
                ((Series.NOT_ISSUED, "not issued", "bad"), (Series.REJECTED, "rejected", "bad dashed")),
                height=LOW,
            ),
        ),
    ),
    Plan(
        "calls",
        "Calls against the budget",
        "Calls to Qlik Cloud against its limit for logins and tokens; below, answers 429",
        "How much of Qlik's limit the bridge takes will show here, after its first call to this tenant.",
        insights.calls,
        (
            Row(Marks.COLUMNS, ((Series.CALLS, "calls", "full"),), has_limit=True),
            Row(Marks.COLUMNS, ((Series.THROTTLED, "429s", "bad"),), height=LOW),
        ),
    ),
    Plan(
        "parity",
        "Parity",
        "People compared, by what came of it",
        "Who is proven to get by OAuth what JWT gave them will show here, after the first comparison.",
        _alone(insights.parity),
        (
            Row(
                Marks.COLUMNS,
                (
                    (Series.PROVEN, "proven", "full"),
                    (Series.UNPROVEN, "unproven", "hatched"),
                    (Series.MISMATCHED, "mismatch", "bad"),
                ),
                height=222,
            ),
        ),
    ),
    Plan(
        "stragglers",
        "Stragglers",
        "People who used the JWT path within the tenant's quiet days",
        "Who still uses the JWT path will show here, once the tenant is in stage oauth.",
        _alone(insights.stragglers),
        (Row(Marks.LINES, ((Series.STRAGGLERS, "stragglers", "full"),), height=222),),
    ),
)


def figures(look: LookBack, calls_per_minute: int) -> list[Figure]:
    """Return every chart of a look back, calls held against what Qlik answers in a slot."""
    room = calls_per_minute * look.span.slot_s // 60
    return [_figure(plan, look, room) for plan in PLANS]


def spark(look: LookBack) -> Drawing | None:
    """Return the share of paths as small as a word, None while nothing is known."""
    panel = _panel(Row(PATHS.marks, PATHS.traces, height=28), look)
    return draw([panel], [""] * len(look.starts), SPARK) if is_known(panel.traces) else None


def _figure(plan: Plan, look: LookBack, room: int) -> Figure:
    panels = [_panel(row, look, room) for row in plan.rows]
    traces = [trace for panel in panels for trace in panel.traces]
    drawing = draw(panels, times(look)) if is_known(traces) else None
    return Figure(plan, plan.says(look, room) or plan.empty, drawing, traces)


def _panel(row: Row, look: LookBack, room: int | None = None) -> Panel:
    traces = [
        Trace(name, f"look-{look_of.replace(' ', ' look-')}", look.values[series])
        for series, name, look_of in row.traces
    ]
    return Panel(row.marks, traces, row.height, room if row.has_limit else None)


def times(look: LookBack) -> list[str]:
    """Return what stands below each slot, in UTC: every sixth hour, or every Monday."""
    moments = (datetime.fromtimestamp(start, UTC) for start in look.starts)
    return [_time(moment, look.span) for moment in moments]


def _time(moment: datetime, span: Span) -> str:
    date = f"{moment.day} {moment:%b}"
    if span is Span.MONTH:
        return date if moment.weekday() == MONDAY else ""
    if moment.hour % EVERY_HOURS:
        return ""
    return f"{moment:%H:%M}" if moment.hour else date
