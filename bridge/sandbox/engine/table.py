"""The data of an app as one table, with a symbol table for each field."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

Value = str | int | float
Row = dict[str, Value]


@dataclass(frozen=True)
class Table:
    """Rows, and which texts stand for a number too (Qlik: duals), such as the names of months."""

    name: str
    fields: tuple[str, ...]
    rows: tuple[Row, ...]
    duals: Mapping[str, Mapping[str, float]] = field(default_factory=dict)
    reader: str = ""
    """Whose view of the data this is."""

    @cached_property
    def symbols(self) -> dict[str, list[Value]]:
        """The distinct values of each field in load order; a value's place is its element number."""
        return {name: list(dict.fromkeys(row[name] for row in self.rows)) for name in self.fields}

    @cached_property
    def elements(self) -> dict[str, list[int]]:
        """Each row's element number by field."""
        numbers = {name: {value: at for at, value in enumerate(values)} for name, values in self.symbols.items()}
        return {name: [numbers[name][row[name]] for row in self.rows] for name in self.fields}

    def number(self, name: str, value: Value) -> float | None:
        if isinstance(value, str):
            return self.duals.get(name, {}).get(value)
        return value

    def is_numeric(self, name: str) -> bool:
        return all(not isinstance(value, str) for value in self.symbols[name])

    def only(self, keeps: Callable[[Row], bool]) -> Table:
        """Return the table without the other rows, and so without the values that only they hold."""
        return replace(self, rows=tuple(row for row in self.rows if keeps(row)))

    def distinct(self, name: str, rows: Sequence[int]) -> list[int]:
        """Return the element numbers that occur in the rows, in load order."""
        column = self.elements[name]
        return sorted({column[row] for row in rows})


def field_name(definition: object) -> str:
    """Return the field that a definition names: `Product`, `[Product]` and `=[Product]` are one."""
    text = definition.strip().removeprefix("=").strip() if isinstance(definition, str) else ""
    for opening, closing in ("[]", '""'):
        if len(text) > 1 and text[0] == opening and text[-1] == closing:
            return text[1:-1]
    return text
