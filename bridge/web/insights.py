"""What a look back says in one sentence: now, and beside it how it was. Pure."""

from collections.abc import Sequence
from datetime import UTC, datetime

from bridge.history import LookBack, Series, Span

SLOT = {Span.DAY: "hour", Span.MONTH: "day"}
WHOLE = {Span.DAY: "24 hours", Span.MONTH: "30 days"}
SMALLEST_PERCENT = 1
NO_BREAK = "\N{NO-BREAK SPACE}"


def share(look: LookBack) -> str | None:
    """Return the share of the path `oauth`, and what it was at first; None while nothing is known."""
    people = _sums(look, Series.JWT_PEOPLE, Series.OAUTH_PEOPLE)
    at = _newest(people)
    if at is None:
        return None
    total = people[at] or 0
    if not total:
        return f"{_when(look, at)} nobody came."
    first = next((slot for slot, value in enumerate(people[:at]) if value), None)
    then = "" if first is None else f"; {_ago(look, at - first)}, {_share_at(look, first, people[first] or 0)}"
    return f"{_when(look, at)} {_share_at(look, at, total)} of {_people(total)} were on `oauth`{then}."


def tokens(look: LookBack) -> str | None:
    """Return how many requests for a token got one and how many did not, and when that was worst."""
    issued, failed, rejected = (look.values[name] for name in (Series.ISSUED, Series.NOT_ISSUED, Series.REJECTED))
    at = _newest(_sums(look, Series.ISSUED, Series.NOT_ISSUED, Series.REJECTED))
    worst = _highest(failed)
    if at is None:
        return None
    lost, asked = failed[at] or 0, (issued[at] or 0) + (failed[at] or 0)
    now = f"{_when(look, at)} {_count(asked, 'request')} for a token"
    now += f": {_percent(lost, asked)} got none." if lost else ", and none failed." if asked else "."
    refused = sum(value or 0 for value in rejected)
    told = f"The tenant refused {_count(refused, 'token') if refused else 'no token'} in {WHOLE[look.span]}."
    if worst is None or not failed[worst]:
        return f"{now} Nobody was left without one in {WHOLE[look.span]}. {told}"
    return f"{now} Most failed {_slot(look, worst)}: {failed[worst]:,}. {told}"


def calls(look: LookBack, room: int) -> str | None:
    """Return how much of the *room* of a slot the calls took, at most too, and how often Qlik asked us to slow down."""
    made = look.values[Series.CALLS]
    at, busiest = _newest(made), _highest(made)
    if at is None or busiest is None:
        return None
    now = made[at] or 0
    parts = [f"{_when(look, at)} {_count(now, 'call')}: {_percent(now, room)} of the {room:,} that Qlik allows."]
    if (made[busiest] or 0) > now:
        took = _percent(made[busiest] or 0, room)
        parts.append(f"The busiest {SLOT[look.span]}, {_named(look, busiest)}, took {took}.")
    throttled = sum(value or 0 for value in look.values[Series.THROTTLED])
    asked = f"asked us to slow down {_count(throttled, 'time')}" if throttled else "never asked us to slow down"
    parts.append(f"Qlik {asked} in {WHOLE[look.span]}.")
    return " ".join(parts)


def parity(look: LookBack) -> str | None:
    """Return how many people are proven, and how many were."""
    names = (Series.PROVEN, Series.MISMATCHED, Series.UNPROVEN)
    compared = _sums(look, *names)
    at = _last(compared)
    if at is None:
        return None
    if not compared[at]:
        return "Nobody was compared yet."
    proven, different, unproven = (look.values[name][at] or 0 for name in names)
    now = f"{proven:,} of {_people(compared[at] or 0)} compared are proven"
    return f"{now}, {different:,} with a mismatch, {unproven:,} not proven yet.{_before(look, names[0], at, 'were')}"


def stragglers(look: LookBack) -> str | None:
    """Return how many people still use the JWT path, and how many did."""
    values = look.values[Series.STRAGGLERS]
    at = _last(values)
    if at is None:
        return None
    now = _people(values[at] or 0) if values[at] else "Nobody"
    return f"{now} used the JWT path lately.{_before(look, Series.STRAGGLERS, at, 'did')}"


def _before(look: LookBack, series: Series, at: int, did: str) -> str:
    """Return what a standing was when it was first known, where that is another slot."""
    values = look.values[series]
    first = next((slot for slot, value in enumerate(values[:at]) if value is not None), None)
    return "" if first is None else f" {_ago(look, at - first)}, {values[first]:,} {did}."


def _sums(look: LookBack, *names: Series) -> list[int | None]:
    """Return slot by slot the sum of what is known, None where nothing is."""
    slots = zip(*(look.values[name] for name in names), strict=True)
    return [None if all(value is None for value in slot) else sum(value or 0 for value in slot) for slot in slots]


def _newest(values: Sequence[int | None]) -> int | None:
    """Return the last slot that is over and known, else the one that is going on, else the newest known one."""
    last = len(values) - 1
    order = (last - 1, last, *range(last - 2, -1, -1))
    return next((at for at in order if at >= 0 and values[at] is not None), None)


def _last(values: Sequence[int | None]) -> int | None:
    return next((at for at in reversed(range(len(values))) if values[at] is not None), None)


def _highest(values: Sequence[int | None]) -> int | None:
    known = [at for at, value in enumerate(values) if value is not None]
    return max(known, key=lambda at: values[at] or 0, default=None)


def _when(look: LookBack, at: int) -> str:
    from_the_end = len(look.starts) - 1 - at
    if from_the_end == 0:
        return "So far in this hour" if look.span is Span.DAY else "So far today"
    if from_the_end == 1:
        return "In the last full hour" if look.span is Span.DAY else "Yesterday"
    slot = _slot(look, at)
    return f"{slot[0].upper()}{slot[1:]},"


def _slot(look: LookBack, at: int) -> str:
    return f"in the hour {_named(look, at)}" if look.span is Span.DAY else _named(look, at)


def _named(look: LookBack, at: int) -> str:
    """Return which slot it is, in UTC."""
    moment = datetime.fromtimestamp(look.starts[at], UTC)
    return f"from {moment:%H:%M} UTC" if look.span is Span.DAY else f"on {moment.day} {moment:%b}"


def _ago(look: LookBack, slots: int) -> str:
    return f"{_count(slots, SLOT[look.span])} before"


def _share_at(look: LookBack, at: int, total: int) -> str:
    return _percent(look.values[Series.OAUTH_PEOPLE][at] or 0, total)


def _percent(part: int, whole: int) -> str:
    found = 100 * part / whole
    number = f"less than {SMALLEST_PERCENT}" if 0 < found < SMALLEST_PERCENT else f"{found:.0f}"
    return f"{number}{NO_BREAK}%"


def _people(number: int) -> str:
    return f"{number:,} {'person' if number == 1 else 'people'}"


def _count(number: int, noun: str) -> str:
    return f"{number:,} {noun}{'' if number == 1 else 's'}"
