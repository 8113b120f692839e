"""Pages of a matrix. Qlik: a call may ask for 10,000 cells at most."""

from __future__ import annotations

from typing import TYPE_CHECKING

from bridge.sandbox.engine.rpc import INVALID_PARAMS, PAGES_TOO_LARGE, RpcError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from bridge.sandbox.engine.rpc import Json

MOST_CELLS = 10_000
SIDES = ("qLeft", "qTop", "qWidth", "qHeight")


def cut(matrix: Sequence[list[Json]], wanted: object) -> list[Json]:
    """Return one page for each rectangle asked for; what lies beyond the matrix is left out."""
    areas = rectangles(wanted)
    return [_page(matrix, *area) for area in areas]


def rectangles(wanted: object) -> list[tuple[int, int, int, int]]:
    if not isinstance(wanted, list) or not all(isinstance(area, dict) for area in wanted):
        raise RpcError(INVALID_PARAMS, "Invalid parameters", "qPages")
    found = [
        (_side(area, "qLeft"), _side(area, "qTop"), _side(area, "qWidth"), _side(area, "qHeight")) for area in wanted
    ]
    if sum(width * height for _left, _top, width, height in found) > MOST_CELLS:
        raise RpcError(PAGES_TOO_LARGE, "Requested hypercube pages are too large", "qPages")
    return found


def _side(area: Json, name: str) -> int:
    value = area.get(name, 0)
    if isinstance(value, bool) or not isinstance(value, int | float) or value < 0:
        raise RpcError(INVALID_PARAMS, "Invalid parameters", name)
    return int(value)


def _page(matrix: Sequence[list[Json]], left: int, top: int, width: int, height: int) -> Json:
    rows = [row[left : left + width] for row in matrix[top : top + height]]
    area = {"qLeft": left, "qTop": top, "qWidth": max(map(len, rows), default=0), "qHeight": len(rows)}
    return {"qMatrix": rows, "qTails": [], "qArea": area}
