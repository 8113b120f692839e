"""How the engine writes numbers."""

from __future__ import annotations

import math
import re
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from bridge.sandbox.engine.rpc import Json
    from bridge.sandbox.engine.table import Value

AUTO: Json = {"qType": "U", "qnDec": 10, "qUseThou": 0}
PATTERN = re.compile(r"(?P<head>[^#0]*)(?P<whole>[#0,]*)(?:\.(?P<part>[#0]+))?(?P<tail>[^#0]*)")
NULL: Json = {"qText": "-", "qNum": "NaN", "qElemNumber": -2, "qState": "L", "qIsNull": True}


def text(value: Value | None, number_format: Json | None = None) -> str:
    """Write a value: as it is, or by a format such as `#,##0.00` or `0%`."""
    if value is None:
        return "-"
    if isinstance(value, str):
        return value
    pattern = (number_format or {}).get("qFmt")
    wanted = (number_format or {}).get("qType", "U")
    if wanted == "U" or not isinstance(pattern, str) or not re.search("[#0]", pattern):
        return f"{value:.14g}"
    return _by_pattern(value, pattern)


def _by_pattern(value: float, pattern: str) -> str:
    found = PATTERN.fullmatch(pattern.partition(";")[0])
    if found is None:
        return f"{value:.14g}"
    part, tail = found["part"] or "", found["tail"]
    shown = f"{value * (100 if '%' in tail else 1):{',' if ',' in found['whole'] else ''}.{len(part)}f}"
    optional = len(part) - len(part.rstrip("#"))
    while optional and shown.endswith("0"):
        shown, optional = shown[:-1], optional - 1
    return found["head"] + shown.removesuffix(".") + tail


def cell(value: Value | None, number_format: Json | None = None) -> Json:
    """One calculated value of a hypercube."""
    if value is None or (isinstance(value, float) and not math.isfinite(value)):
        return {**NULL, "qElemNumber": 0}
    number = "NaN" if isinstance(value, str) else value
    return {"qText": text(value, number_format), "qNum": number, "qElemNumber": 0, "qState": "L"}
