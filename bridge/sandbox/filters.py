"""The filter language of users and groups: a subset of RFC 7644 (SCIM)."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from bridge.sandbox import body

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from bridge.sandbox.errors import ApiError

    # What an attribute holds for one entry; several values where the entry has several groups or roles.
    Values = Callable[[Any], list[str]]

TOKEN = re.compile(r"""\s*(?:(?P<paren>[()])|(?P<text>"(?:[^"\\]|\\.)*"|'(?:[^'\\]|\\.)*')|(?P<word>[^\s()"']+))""")
DEEPEST = 20


@dataclass(frozen=True)
class Attributes:
    """What a filter may name: every one with `eq`, some with `co` as well."""

    values: Mapping[str, Values]
    co: frozenset[str]


@dataclass(frozen=True)
class Test:
    """One condition: an attribute, `eq` or `co`, a value."""

    attribute: str
    operator: str
    value: str
    values: Values

    def matches(self, entry: object) -> bool:
        held = [value.lower() for value in self.values(entry)]
        return self.value in held if self.operator == "eq" else any(self.value in value for value in held)

    def names(self) -> set[str]:
        return {self.attribute}


@dataclass(frozen=True)
class Combined:
    """Conditions joined by `and` or `or`."""

    word: str
    parts: tuple[Test | Combined, ...]

    def matches(self, entry: object) -> bool:
        results = (part.matches(entry) for part in self.parts)
        return all(results) if self.word == "and" else any(results)

    def names(self) -> set[str]:
        return set().union(*(part.names() for part in self.parts))


Expression = Test | Combined


def parse(text: str, attributes: Attributes) -> Expression:
    """Parse a filter or refuse it with 400. Names, operators and values are case-insensitive."""
    parser = _Parser(_tokens(text), attributes)
    expression = parser.alternatives(0)
    if parser.tokens:
        raise bad_filter(f"unexpected {parser.tokens[0][1]}")
    _check_status(expression)
    return expression


def bad_filter(detail: str) -> ApiError:
    return body.bad_request(f"Invalid filter: {detail}")


def _tokens(text: str) -> list[tuple[str, str]]:
    found, position, text = [], 0, text.strip()
    while position < len(text):
        match = TOKEN.match(text, position)
        if match is None or match.lastgroup is None:
            raise bad_filter("a quote is not closed")
        found.append((match.lastgroup, match.group(match.lastgroup)))
        position = match.end()
    return found


class _Parser:
    """Recursive descent: `or` binds looser than `and`."""

    def __init__(self, tokens: list[tuple[str, str]], attributes: Attributes) -> None:
        self.tokens = tokens
        self.attributes = {name.lower(): name for name in attributes.values}
        self.allowed = attributes

    def alternatives(self, depth: int) -> Expression:
        parts = [self.conditions(depth)]
        while self._take_word("or"):
            parts.append(self.conditions(depth))
        return parts[0] if len(parts) == 1 else Combined("or", tuple(parts))

    def conditions(self, depth: int) -> Expression:
        parts = [self.condition(depth)]
        while self._take_word("and"):
            parts.append(self.condition(depth))
        return parts[0] if len(parts) == 1 else Combined("and", tuple(parts))

    def condition(self, depth: int) -> Expression:
        if depth > DEEPEST:
            raise bad_filter("too many parentheses")
        if self.tokens[:1] != [("paren", "(")]:
            return self.test()
        self._next("paren")
        inner = self.alternatives(depth + 1)
        if self._next("paren") != ")":
            raise bad_filter("a parenthesis is not closed")
        return inner

    def test(self) -> Test:
        name, operator = self._next("word"), self._next("word").lower()
        value = re.sub(r"\\(.)", r"\1", self._next("text")[1:-1]).lower()
        known = self.attributes.get(name.lower())
        if known is None:
            raise bad_filter(f"{name} cannot be filtered on")
        if operator != "eq" and not (operator == "co" and known in self.allowed.co):
            raise bad_filter(f"{operator} does not work on {known}")
        return Test(known, operator, value, self.allowed.values[known])

    def _take_word(self, word: str) -> bool:
        if self.tokens and self.tokens[0][0] == "word" and self.tokens[0][1].lower() == word:
            self.tokens.pop(0)
            return True
        return False

    def _next(self, kind: str) -> str:
        if not self.tokens or self.tokens[0][0] != kind:
            raise bad_filter(f"expected a {kind}")
        return self.tokens.pop(0)[1]


def _check_status(expression: Expression) -> None:
    """Qlik: conditions on status are one group that is ANDed to the whole query."""
    if isinstance(expression, Test):
        return
    for part in expression.parts:
        if expression.word == "or" and "status" in part.names() and expression.names() != {"status"}:
            raise bad_filter("status conditions must be one group ANDed to the query")
        _check_status(part)
