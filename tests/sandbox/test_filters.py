"""The filter language."""

from __future__ import annotations

import pytest

from bridge.sandbox import filters
from bridge.sandbox.errors import ApiError

ATTRIBUTES = filters.Attributes(
    {
        "name": lambda entry: [entry["name"]],
        "status": lambda entry: [entry["status"]],
        "assignedGroups.id": lambda entry: entry["groups"],
    },
    frozenset({"name"}),
)
ENTRY = {"name": 'Ann "A" O\'Neil', "status": "active", "groups": ["g1", "g2"]}


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ('name co "o\'neil"', True),
        ("name co 'ann'", True),
        ("NAME CO 'ANN'", True),
        (r'name eq "ann \"a\" o\'neil"', True),
        ('name eq "ann"', False),
        ('assignedGroups.id eq "g2"', True),
        ('assignedGroups.id eq "g3"', False),
        ('name eq "x" or name co "ann"', True),
        ('name co "ann" or name eq "x" and name eq "y"', True),
        ('(name co "ann" or name eq "x") and name eq "y"', False),
        ('name co "ann" and status eq "active"', True),
        ('name co "ann" and (status eq "active" or status eq "invited")', True),
        ('(name co"ann")and(status eq "disabled")', False),
    ],
)
def test_matching(text: str, expected: object) -> None:
    assert filters.parse(text, ATTRIBUTES).matches(ENTRY) is expected


@pytest.mark.parametrize(
    "text",
    [
        "name",
        "name eq",
        "name eq ann",
        'name eq "ann',
        'name ne "ann"',
        'status co "act"',
        'shoe eq "7"',
        '(name eq "a"',
        'name eq "a")',
        'name eq "a" and',
        'or name eq "a"',
        'name eq "a" name eq "b"',
        'name eq "a" or status eq "active"',
        "(" * 100_000,
        "(" * 25 + 'name eq "a"' + ")" * 25,
    ],
)
def test_refusing(text: str) -> None:
    with pytest.raises(ApiError) as refusal:
        filters.parse(text, ATTRIBUTES)
    assert refusal.value.status == 400
