"""The order of a field's values, by Qlik's sort criteria."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING

from bridge.sandbox.engine import formats
from bridge.sandbox.engine.expressions import compiled

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from bridge.sandbox.engine.rpc import Json
    from bridge.sandbox.engine.selections import Selections

    Key = Callable[[int], float | str]

STATES = {"L": 0, "S": 0, "A": 1, "O": 1, "X": 2, "XS": 2}


def ranks(selections: Selections, name: str, criteria: object) -> list[int]:
    """Return the place of each element of a field; without criteria that is the order in which it was loaded."""
    table = selections.table
    elements = list(range(len(table.symbols[name])))
    given = criteria if isinstance(criteria, dict) else {}
    for criterion, key in _keys(selections, name, given):
        if direction := _direction(given, criterion):
            elements.sort(key=key, reverse=direction < 0)
    places = [0] * len(elements)
    for place, element in enumerate(elements):
        places[element] = place
    return places


def _direction(criteria: Mapping[str, object], name: str) -> int:
    value = criteria.get(name, 0)
    return value if isinstance(value, int) else 0


def _keys(selections: Selections, name: str, criteria: Json) -> Sequence[tuple[str, Key]]:
    """Return the criteria from the weakest to the strongest, so that stable sorts one after the other do it."""
    table = selections.table
    values = table.symbols[name]
    states, counts = selections.states(name), Counter(table.elements[name])

    def number(element: int) -> float:
        found = table.number(name, values[element])
        return float("inf") if found is None else found

    def calculated(element: int) -> float:
        rows = [row for row in selections.rows() if table.elements[name][row] == element]
        value = compiled(str((criteria.get("qExpression") or {}).get("qv", ""))).value(table, rows)
        return value if isinstance(value, int | float) else float("-inf")

    return (
        ("qSortByLoadOrder", lambda element: element),
        ("qSortByAscii", lambda element: formats.text(values[element]).casefold()),
        ("qSortByNumeric", number),
        ("qSortByFrequency", lambda element: counts[element]),
        ("qSortByExpression", calculated),
        ("qSortByState", lambda element: STATES[states[element]]),
    )
