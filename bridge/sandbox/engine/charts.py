"""The objects that an app stores: charts, a figure and sheets, with the properties that Qlik's charts look for."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from bridge.sandbox.engine.rpc import Json

WIDEST, TALLEST = 24, 12
FIRST = 14
"""How wide the first chart of a sheet is where it has others beside it."""
TEXT_ORDER: Json = {"qSortByNumeric": 1, "qSortByAscii": 1, "qSortByLoadOrder": 1}


COLOUR: Json = {
    "auto": True,
    "autoMinMax": True,
    "dimensionScheme": "12",
    "expressionIsColor": True,
    "expressionLabel": "",
    "formatting": {"numFormatFromTemplate": True},
    "measureScheme": "sg",
    "mode": "primary",
    "paletteColor": {"index": 6},
    "persistent": False,
    "reverseScheme": False,
    "useBaseColors": "off",
    "useDimColVal": True,
    "useMeasureGradient": True,
}
AXES: Json = {
    "dimensionAxis": {
        "axisDisplayMode": "auto",
        "continuousAuto": True,
        "dock": "near",
        "label": "auto",
        "maxVisibleItems": 10,
        "show": "all",
    },
    "measureAxis": {
        "autoMinMax": True,
        "dock": "near",
        "logarithmic": False,
        "max": 10,
        "min": 0,
        "minMax": "min",
        "show": "all",
        "spacing": 1,
    },
    "gridLine": {"auto": True, "spacing": 2},
    "orientation": "vertical",
    "preferContinuousAxis": True,
    "refLine": {"refLines": [], "dimRefLines": []},
    "scrollbar": "miniChart",
    "scrollStartPos": 0,
    "showMiniChartForContinuousAxis": True,
}
COMMON: Json = {
    "components": [],
    "footnote": "",
    "legend": {"dock": "auto", "show": True, "showTitle": True},
    "showDetails": True,
    "showDisclaimer": True,
    "showTitles": True,
    "subtitle": "",
    "tooltip": {"auto": True, "hideBasic": False, "data": {}},
}
BAR: Json = {
    **COMMON,
    **AXES,
    "version": "2.14.0",
    # The default draws few bars narrow and leaves half of a wide chart empty.
    "dimensionAxis": {**AXES["dimensionAxis"], "axisDisplayMode": "custom"},
    "barGrouping": {"grouping": "grouped"},
    "color": COLOUR,
    "dataPoint": {"showLabels": False, "showSegmentLabels": False, "showTotalLabels": True},
}
LINE: Json = {
    **COMMON,
    **AXES,
    "version": "1.47.0",
    "color": COLOUR,
    "dataPoint": {"show": True, "showLabels": False},
    "lineType": "line",
    "nullMode": "gap",
    "orientation": "horizontal",
    "separateStacking": True,
    "stackedArea": False,
}
PIE: Json = {
    **COMMON,
    "version": "1.26.0",
    "color": {**COLOUR, "auto": False, "mode": "byDimension"},
    "dataPoint": {"auto": True, "labelMode": "share", "labelValueMode": "arc"},
    "dimensionTitle": True,
    "donut": {"showAsDonut": True},
    "useMeasureAsOuterRadius": False,
}
KPI: Json = {"showTitles": False, "showMeasureTitle": True, "fontSize": "S", "layoutBehavior": "responsive"}


def dimension(field: str, order: Json = TEXT_ORDER) -> Json:
    return {
        "qDef": {
            "qFieldDefs": [f"[{field}]"],
            "qFieldLabels": [field],
            "qSortCriterias": [order],
            "cId": f"dim-{field.lower()}",
            "autoSort": True,
        }
    }


def measure(expression: str, label: str) -> Json:
    number = {"qType": "F", "qnDec": 0, "qUseThou": 1, "qFmt": "#,##0", "qDec": ".", "qThou": ","}
    definition = {"qDef": expression, "qLabel": label, "qNumFormat": number, "cId": "mea-1", "autoSort": True}
    return {"qDef": definition, "qSortBy": {"qSortByNumeric": -1}}


def hypercube(dimensions: list[Json], measures: list[Json], *, by_size: bool = False) -> Json:
    """Return a cube's definition, sorted by its dimensions or by what the last measure makes of them."""
    width = len(dimensions) + len(measures)
    order = list(range(width))
    return {
        "qDimensions": dimensions,
        "qMeasures": measures,
        "qInterColumnSortOrder": [*order[-1:], *order[:-1]] if by_size else order,
        "qSuppressMissing": True,
        "qMode": "S",
        "qInitialDataFetch": [{"qLeft": 0, "qTop": 0, "qWidth": max(width, 1), "qHeight": 500}],
    }


def chart(object_id: str, kind: str, look: Json, title: str, cube: Json) -> Json:
    """Return the properties of one visualization."""
    return {
        **look,
        "qInfo": {"qId": object_id, "qType": kind},
        "qMetaDef": {"title": title, "description": ""},
        "qHyperCubeDef": cube,
        "title": title,
        "visualization": kind,
    }


def sheet(object_id: str, title: str, rank: int, charts: list[Json]) -> Json:
    """Return the properties of a sheet: its first chart large, the others above each other at its right."""
    rest = len(charts) - 1
    large, height = (FIRST, TALLEST // rest) if rest else (WIDEST, TALLEST)
    cells = [_cell(charts[0], 0, 0, large, TALLEST)]
    cells += [_cell(each, large, at * height, WIDEST - large, height) for at, each in enumerate(charts[1:])]
    return {
        "qInfo": {"qId": object_id, "qType": "sheet"},
        "qMetaDef": {"title": title, "description": ""},
        "qChildListDef": {"qData": {"title": "/title", "visualization": "/visualization"}},
        "rank": rank,
        "columns": WIDEST,
        "rows": TALLEST,
        "thumbnail": {},
        "cells": cells,
    }


def _cell(chart: Json, col: int, row: int, colspan: int, rowspan: int) -> Json:
    x, y, width, height = col / WIDEST, row / TALLEST, colspan / WIDEST, rowspan / TALLEST
    return {
        "name": chart["qInfo"]["qId"],
        "type": chart["qInfo"]["qType"],
        "col": col,
        "row": row,
        "colspan": colspan,
        "rowspan": rowspan,
        "bounds": {"x": 100 * x, "y": 100 * y, "width": 100 * width, "height": 100 * height},
    }


def master_dimension(object_id: str, field: str, title: str) -> Json:
    return {
        "qInfo": {"qId": object_id, "qType": "dimension"},
        "qDim": {"qGrouping": "N", "qFieldDefs": [f"[{field}]"], "qFieldLabels": [title], "title": title},
        "qMetaDef": {"title": title, "description": "", "tags": []},
    }


def master_measure(object_id: str, expression: str, title: str) -> Json:
    return {
        "qInfo": {"qId": object_id, "qType": "measure"},
        "qMeasure": {"qLabel": title, "qDef": expression, "qGrouping": "N", "qExpressions": [], "qActiveExpression": 0},
        "qMetaDef": {"title": title, "description": "", "tags": []},
    }
