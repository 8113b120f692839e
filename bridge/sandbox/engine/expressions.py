"""The expressions that the engine understands: fields, numbers, texts, arithmetic and the common aggregations.

What Qlik has beyond that (set expressions, other functions) is read as an expression whose value is null.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING

from bridge.sandbox.engine import formats

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from bridge.sandbox.engine.table import Table, Value

    Rows = Sequence[int]
    Node = Callable[[Table, Rows], Value | None]

TOKEN = re.compile(
    r"\s*(?:(?P<number>\d+(?:\.\d+)?)|(?P<text>'[^']*')|(?P<field>\[[^\]]+\]|\"[^\"]+\")"
    r"|(?P<word>[^\W\d]\w*)|(?P<sign>[-+*/&(),])|(?P<other>\S))"
)
DEEPEST, LONGEST = 50, 500


class BadExpression(ValueError):
    """The expression does not follow the syntax."""


class BeyondUs(ValueError):
    """Qlik would understand this expression; the sandbox does not."""


@dataclass(frozen=True)
class Expression:
    """A compiled expression; `error` says what is wrong with its syntax, `fields` what it reads."""

    value: Node
    error: str = ""
    fields: frozenset[str] = frozenset()


@lru_cache(maxsize=1000)
def compiled(text: str) -> Expression:
    """Compile an expression, with or without a leading `=`."""
    reader = _Reader(text.strip().removeprefix("="))
    try:
        node = reader.whole()
    except BadExpression as problem:
        return Expression(_null, error=str(problem))
    except BeyondUs:
        return Expression(_null)
    return Expression(node, fields=frozenset(reader.fields))


def _null(_table: Table, _rows: Rows) -> None:
    return None


class _Reader:
    """Reads an expression from left to right; one method for each level of precedence."""

    def __init__(self, text: str) -> None:
        self.tokens = [(str(found.lastgroup), found[found.lastgroup or 0]) for found in TOKEN.finditer(text)]
        self.at = 0
        self.depth = 0
        self.fields: set[str] = set()

    def whole(self) -> Node:
        if len(self.tokens) > LONGEST:
            raise BeyondUs
        node = self.sum()
        if self.at < len(self.tokens):
            raise BadExpression("Garbage after expression")
        return node

    def peek(self) -> str:
        return self.tokens[self.at][1] if self.at < len(self.tokens) else ""

    def take(self) -> tuple[str, str]:
        if self.at >= len(self.tokens):
            raise BadExpression("Expression ends too early")
        self.at += 1
        return self.tokens[self.at - 1]

    def sum(self) -> Node:
        node = self.product()
        while self.peek() in ("+", "-", "&"):
            node = _operation(self.take()[1], node, self.product())
        return node

    def product(self) -> Node:
        node = self.factor()
        while self.peek() in ("*", "/"):
            node = _operation(self.take()[1], node, self.factor())
        return node

    def factor(self) -> Node:
        self.depth += 1
        if self.depth > DEEPEST:
            raise BeyondUs
        kind, part = self.take()
        node = self._factor(kind, part)
        self.depth -= 1
        return node

    def _factor(self, kind: str, part: str) -> Node:
        if kind == "number":
            return _constant(float(part) if "." in part else int(part))
        if kind == "text":
            return _constant(part[1:-1])
        if kind == "other":
            raise BeyondUs
        if part == "-":
            return _operation("-", _constant(0), self.factor())
        if part == "(":
            return self.closed(self.sum())
        if kind == "sign":
            raise BadExpression(f"Unexpected {part}")
        if kind == "word" and self.peek() == "(":
            return self.call(part.lower())
        return self.field(part if kind == "word" else part[1:-1])

    def field(self, name: str) -> Node:
        self.fields.add(name)
        return lambda table, rows: _only(table, name, rows)

    def closed(self, node: Node) -> Node:
        if self.take()[1] != ")":
            raise BadExpression("')' expected")
        return node

    def call(self, name: str) -> Node:
        self.take()
        if name == "osuser":
            return self.closed(_reader)
        if name not in AGGREGATIONS:
            raise BeyondUs
        distinct = self.peek().lower() == "distinct"
        if distinct:
            self.take()
        argument = self.closed(self.sum())
        return lambda table, rows: _aggregated(name, _values(argument, table, rows, distinct=distinct))


def _reader(table: Table, _rows: Rows) -> Value:
    """Return who reads the app. Qlik: OSUser(); what it says of a cloud user is undocumented, we give the subject."""
    return table.reader


def _constant(value: Value) -> Node:
    return lambda _table, _rows: value


def _operation(sign: str, left: Node, right: Node) -> Node:
    if sign == "&":
        return lambda table, rows: _written(left(table, rows)) + _written(right(table, rows))
    return lambda table, rows: _calculated(sign, left(table, rows), right(table, rows))


def _written(value: Value | None) -> str:
    return "" if value is None else formats.text(value)


def _calculated(sign: str, left: Value | None, right: Value | None) -> Value | None:
    if not isinstance(left, int | float) or not isinstance(right, int | float):
        return None
    if sign == "/":
        return left / right if right else None
    return {"+": left + right, "-": left - right, "*": left * right}[sign]


def _only(table: Table, name: str, rows: Rows) -> Value | None:
    """Return the one value that all rows share; a field outside an aggregation means just that."""
    if name not in table.elements:
        return None
    found = {table.elements[name][row] for row in rows}
    return table.symbols[name][found.pop()] if len(found) == 1 else None


def _values(argument: Node, table: Table, rows: Rows, *, distinct: bool) -> list[Value]:
    found = [value for row in rows if (value := argument(table, [row])) is not None]
    return list(dict.fromkeys(found)) if distinct else found


def _aggregated(name: str, values: list[Value]) -> Value | None:
    if name == "count":
        return len(values)
    if name == "only":
        return values[0] if len(set(values)) == 1 else None
    numbers = [value for value in values if not isinstance(value, str)]
    if not numbers:
        return None
    return AGGREGATIONS[name](numbers)


AGGREGATIONS: dict[str, Callable[[list[int | float]], float]] = {
    "sum": sum,
    "avg": lambda numbers: sum(numbers) / len(numbers),
    "min": min,
    "max": max,
    "count": len,
    "only": lambda numbers: numbers[0],
}
