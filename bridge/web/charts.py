"""Series as geometry: what a chart draws where. Pure; the markup is in templates/charts.html."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from enum import StrEnum
from itertools import groupby

TICK_ROOM = 34.0
"""Numbers beside a scale stand at least so far apart."""
COLUMN = 0.72
"""How much of its slot a column fills."""
LEAST = 1.5
"""What is not zero is drawn at least so high: one among thousands must be seen."""
LABEL_GAP = 17.0
PANEL_GAP = 16.0
AXIS = 24.0
"""Room below for the times."""
LIMIT_WORTH_ITS_ROOM = 10
"""A limit is drawn to scale when the highest value reaches this part of it; else it would flatten everything."""
SIZES = ((10**12, "T"), (10**9, "G"), (10**6, "M"), (10**3, "k"))


class Marks(StrEnum):
    """How a panel shows its traces: stacked on each other, or each by itself."""

    COLUMNS = "columns"
    LINES = "lines"


@dataclass(frozen=True, slots=True)
class Trace:
    """One series: its name, its look (a class of style.css) and its values, None where nothing is known."""

    name: str
    look: str
    values: Sequence[int | None]


@dataclass(frozen=True, slots=True)
class Panel:
    """Traces that share a scale, and the limit that they are held against."""

    marks: Marks
    traces: Sequence[Trace]
    height: float = 150.0
    limit: int | None = None


@dataclass(frozen=True, slots=True)
class Frame:
    """The room of a drawing, in its own units."""

    width: float = 490.0
    left: float = 44.0
    right: float = 122.0
    top: float = 10.0

    @property
    def edge(self) -> float:
        """Return where the plot ends on the right."""
        return self.width - self.right


@dataclass(frozen=True, slots=True)
class Tick:
    """A place on an axis and what stands there."""

    at: float
    label: str


@dataclass(frozen=True, slots=True)
class Column:
    """A part of a stack; `is_running`: its slot is not over yet."""

    look: str
    x: float
    y: float
    width: float
    height: float
    is_running: bool


@dataclass(frozen=True, slots=True)
class Line:
    """Points that are known one after another, as SVG writes them; a single one is a dot."""

    look: str
    points: str


@dataclass(frozen=True, slots=True)
class Label:
    """A trace's name beside where it ends, with its last value."""

    look: str
    y: float
    name: str
    value: str


@dataclass(frozen=True, slots=True)
class Gap:
    """Slots of which nothing is known."""

    x: float
    width: float


@dataclass(frozen=True, slots=True)
class DrawnPanel:
    """A panel with everything in its place. `limit_above` says a limit that is far above the scale."""

    top: float
    bottom: float
    ticks: Sequence[Tick]
    gaps: Sequence[Gap]
    columns: Sequence[Column]
    lines: Sequence[Line]
    labels: Sequence[Label]
    limit: Tick | None
    limit_above: str


@dataclass(frozen=True, slots=True)
class Drawing:
    """All panels of a chart over one axis of times."""

    frame: Frame
    height: float
    panels: Sequence[DrawnPanel]
    times: Sequence[Tick]


def draw(panels: Sequence[Panel], times: Sequence[str], frame: Frame | None = None) -> Drawing:
    """Lay out a chart; *times* says for each slot what stands below it, "" for nothing."""
    frame = frame or Frame()
    slots = _Slots(frame, len(times))
    drawn, top = [], frame.top
    for panel in panels:
        drawn.append(_Plot(panel, slots, top).drawn())
        top += panel.height + PANEL_GAP
    axis = [Tick(_round(slots.middle(at)), label) for at, label in enumerate(times) if label]
    return Drawing(frame, _round(top - PANEL_GAP + AXIS), drawn, axis)


def is_known(traces: Sequence[Trace]) -> bool:
    """Tell whether there is anything to draw."""
    return any(value is not None for trace in traces for value in trace.values)


def ticks_up_to(top: int, most: int = 4) -> range:
    """Return round numbers from 0 up to *top* or a little above, at most so many above 0; for none, *top* as it is."""
    if not most:
        return range(0, max(1, top) + 1, max(1, top))
    rough = max(1, -(-top // most))
    size: int = 10 ** (len(str(rough)) - 1)
    step = next(factor * size for factor in (1, 2, 5, 10) if factor * size >= rough)
    return range(0, max(1, -(-top // step)) * step + 1, step)


def compact(number: int, whole: int = 10_000) -> str:
    """Return a number for little room: 1,204, 12.3k, 4M. It is whole below *whole*."""
    if number < whole:
        return f"{number:,}"
    size, suffix = next(each for each in SIZES if number >= each[0])
    return f"{number / size:,.1f}".removesuffix(".0") + suffix


def spread(places: Sequence[float], low: float, high: float, gap: float = LABEL_GAP) -> list[float]:
    """Return *places*, in ascending order, moved apart by *gap* and kept between *low* and *high* where they fit."""
    found: list[float] = []
    for place in places:
        found.append(max(place, found[-1] + gap if found else low))
    limit = high
    for at in reversed(range(len(found))):
        found[at] = min(found[at], limit)
        limit = found[at] - gap
    return found


class _Slots:
    """Where each slot of time is, from left to right."""

    def __init__(self, frame: Frame, count: int) -> None:
        self.frame = frame
        self.count = count
        self.width = (frame.edge - frame.left) / max(1, count)

    def start(self, at: int) -> float:
        return self.frame.left + at * self.width

    def middle(self, at: int) -> float:
        return self.start(at) + self.width / 2


class _Plot:
    """One panel, its scale and its place."""

    def __init__(self, panel: Panel, slots: _Slots, top: float) -> None:
        self._panel = panel
        self._slots = slots
        self._top = top
        self._bottom = top + panel.height
        peak = self._peak()
        self._has_limit = panel.limit is not None and peak * LIMIT_WORTH_ITS_ROOM >= panel.limit
        top_value = max(peak, panel.limit or 0) if self._has_limit else peak
        self._scale = ticks_up_to(top_value, int(panel.height // TICK_ROOM))

    def drawn(self) -> DrawnPanel:
        is_columns = self._panel.marks is Marks.COLUMNS
        limit = self._panel.limit
        return DrawnPanel(
            top=self._top,
            bottom=self._bottom,
            ticks=[Tick(_round(self._y(each)), compact(each, SIZES[-1][0])) for each in self._scale],
            gaps=list(self._gaps()),
            columns=list(self._columns()) if is_columns else [],
            lines=[] if is_columns else list(self._lines()),
            labels=self._labels(),
            limit=Tick(_round(self._y(limit)), compact(limit)) if limit and self._has_limit else None,
            limit_above=f"{limit:,}" if limit and not self._has_limit else "",
        )

    def _peak(self) -> int:
        """Return the highest value that is drawn: that of a stack, where there are stacks."""
        known = [[value or 0 for value in slot] for slot in self._by_slot()]
        highest = sum if self._panel.marks is Marks.COLUMNS else max
        return max((highest(values) for values in known if values), default=0)

    def _by_slot(self) -> Iterator[tuple[int | None, ...]]:
        return zip(*(trace.values for trace in self._panel.traces), strict=True)

    def _y(self, value: float) -> float:
        return self._bottom - value / self._scale[-1] * self._panel.height

    def _rise(self, value: int | None) -> float:
        return max(LEAST, self._bottom - self._y(value)) if value else 0.0

    def _gaps(self) -> Iterator[Gap]:
        """Yield each run of slots of which no trace knows anything."""
        unknown = [all(value is None for value in slot) for slot in self._by_slot()]
        for is_gap, run in groupby(range(len(unknown)), key=unknown.__getitem__):
            if is_gap:
                slots = list(run)
                yield Gap(_round(self._slots.start(slots[0])), _round(len(slots) * self._slots.width))

    def _columns(self) -> Iterator[Column]:
        width = self._slots.width * COLUMN
        for at, slot in enumerate(self._by_slot()):
            y, x = self._bottom, self._slots.middle(at) - width / 2
            is_running = at == self._slots.count - 1
            for trace, value in zip(self._panel.traces, slot, strict=True):
                if rise := self._rise(value):
                    y -= rise
                    yield Column(trace.look, _round(x), _round(y), _round(width), _round(rise), is_running)

    def _lines(self) -> Iterator[Line]:
        for trace in self._panel.traces:
            for known, run in groupby(enumerate(trace.values), key=lambda each: each[1] is not None):
                if known:
                    places = ((self._slots.middle(at), self._y(value or 0)) for at, value in run)
                    yield Line(trace.look, " ".join(f"{_round(x):g},{_round(y):g}" for x, y in places))

    def _labels(self) -> list[Label]:
        """Name each trace beside its last known value, from top to bottom, without one covering another."""
        ends = sorted(self._ends(), key=lambda end: end[0])
        places = spread([y for y, _, _ in ends], self._top + LABEL_GAP / 2, self._bottom - 2)
        return [
            Label(trace.look, _round(y), trace.name, compact(value))
            for y, (_, trace, value) in zip(places, ends, strict=True)
        ]

    def _ends(self) -> Iterator[tuple[float, Trace, int]]:
        """Yield where each trace ends, from bottom to top where they are stacked."""
        base = self._bottom
        for trace in self._panel.traces:
            value = next((each for each in reversed(trace.values) if each is not None), None)
            if value is None:
                continue
            if self._panel.marks is Marks.LINES:
                yield self._y(value), trace, value
            else:
                yield base - self._rise(value) / 2, trace, value
                base -= self._rise(value)


def _round(number: float) -> float:
    return round(number, 1)
