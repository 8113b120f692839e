"""Stacked hypercubes (mode K): a tree with a level for each dimension and the measures as leaves."""

from __future__ import annotations

from typing import TYPE_CHECKING

from bridge.sandbox.engine import pages

if TYPE_CHECKING:
    from bridge.sandbox.engine.hypercube import Cube
    from bridge.sandbox.engine.rpc import Json


def cut(cube: Cube, wanted: object) -> list[Json]:
    """Return one tree for each rectangle asked for; its height counts values of the first dimension."""
    return [_page(cube, left, width) for left, _top, width, _height in pages.rectangles(wanted)]


def _page(cube: Cube, left: int, width: int) -> Json:
    outer: dict[int, list[list[Json]]] = {}
    for row in cube.matrix:
        outer.setdefault(row[0]["qElemNumber"] if cube.dimensions else 0, []).append(row)
    chosen = list(outer.values())[left : left + width]
    nodes = _nodes(cube, [row for rows in chosen for row in rows], 0, left)
    root = _node("R", {"qText": "", "qElemNumber": 0}, 0, nodes)
    depth = max((len(rows) for rows in chosen), default=0)
    return {"qData": [root], "qArea": {"qLeft": left, "qTop": 0, "qWidth": len(chosen), "qHeight": depth}}


def _nodes(cube: Cube, rows: list[list[Json]], level: int, first: int = 0) -> list[Json]:
    if level == len(cube.dimensions):
        return [_leaf(cell, at) for row in rows for at, cell in enumerate(row[level:])]
    children: dict[int, list[list[Json]]] = {}
    for row in rows:
        children.setdefault(row[level]["qElemNumber"], []).append(row)
    return [
        _node("N", group[0][level], at, _nodes(cube, group, level + 1))
        for at, group in enumerate(children.values(), start=first)
    ]


def _node(kind: str, cell: Json, row: int, below: list[Json]) -> Json:
    return {
        "qText": cell["qText"],
        "qElemNo": cell["qElemNumber"],
        "qValue": cell.get("qNum", "NaN"),
        "qRow": row,
        "qType": kind,
        "qMaxPos": sum(node["qMaxPos"] for node in below),
        "qMinNeg": sum(node["qMinNeg"] for node in below),
        "qUp": 0,
        "qDown": 0,
        "qSubNodes": below,
        **({"qState": cell["qState"]} if "qState" in cell else {}),
        **({"qAttrExps": cell["qAttrExps"]} if "qAttrExps" in cell else {}),
    }


def _leaf(cell: Json, at: int) -> Json:
    number = cell["qNum"] if isinstance(cell["qNum"], int | float) else 0
    leaf = _node("V", {**cell, "qElemNumber": 0}, at, [])
    return {**leaf, "qMaxPos": max(number, 0), "qMinNeg": min(number, 0)}
