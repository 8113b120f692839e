"""How an app of the sandbox writes dates and numbers."""

from __future__ import annotations

import calendar
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from bridge.sandbox.engine.rpc import Json

LOCALE: Json = {
    "qDecimalSep": ".",
    "qThousandSep": ",",
    "qListSep": ";",
    "qMoneyDecimalSep": ".",
    "qMoneyThousandSep": ",",
    "qCurrentYear": 2026,
    "qMoneyFmt": "$#,##0.00",
    "qTimeFmt": "hh:mm:ss",
    "qDateFmt": "YYYY-MM-DD",
    "qTimestampFmt": "YYYY-MM-DD hh:mm:ss",
    "qCalendarStrings": {
        "qDayNames": list(calendar.day_abbr),
        "qMonthNames": list(calendar.month_abbr)[1:],
        "qLongDayNames": list(calendar.day_name),
        "qLongMonthNames": list(calendar.month_name)[1:],
    },
    "qFirstWeekDay": 0,
    "qBrokenWeeks": False,
    "qReferenceDay": 4,
    "qFirstMonthOfYear": 1,
    "qCollation": "en-US",
    "qNumericalAbbreviation": "3:k;6:M;9:G",
}
