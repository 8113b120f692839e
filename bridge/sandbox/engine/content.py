"""The apps of a tenant. Every figure is invented, and the same at each start."""

from __future__ import annotations

import uuid
import zlib
from typing import TYPE_CHECKING

from bridge.sandbox.engine import charts
from bridge.sandbox.engine.app import ANY, App, Rule, Stored
from bridge.sandbox.engine.table import Table

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from bridge.sandbox.engine.rpc import Json
    from bridge.sandbox.engine.table import Row

RETAIL, LEDGER, PIPELINE = "Retail sales", "Ledger", "Pipeline"
AUTHOR = "erin"
"""The subject whose private sheet each app holds."""
FIELDS = ("Product", "Region", "Month", "Channel", "City", "Sales", "Margin", "Units")
MONTHS = ("Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec")
CITIES = {"EMEA": ("Lund", "Porto"), "AMER": ("Austin", "Lima"), "APAC": ("Osaka", "Perth"), "Online": ("Web",)}
CHANNELS = ("Store", "Partner")
DRINKS = ("Espresso", "Filter coffee", "Green tea", "Black tea", "Cocoa", "Chai", "Mate", "Rooibos")
BICYCLES = ("City bike", "Helmet", "Road bike", "Gravel bike", "Cargo bike", "Lock", "Pump", "Lights")
PRODUCTS = {"acme": DRINKS, "globex": BICYCLES}
SOLD_IN = {"Online": (0, 1), "EMEA": (0, 1, 2, 3, 4), "AMER": (0, 1, 5, 6), "APAC": (2, 7)}
"""Which products each region sells, so that people of other regions see another number of them."""
ACCOUNTS = ("Licences", "Services", "Hardware", "Training")
DEALS = ("New business", "Renewals", "Upgrades")

SECTION_ACCESS = (
    Rule("EMEA", "Region", "EMEA"),
    Rule("AMER", "Region", "AMER"),
    Rule("bridge-admins", "Region", ANY),
    Rule(ANY, "Region", "Online"),
)


def apps(slug: str) -> dict[str, App]:
    """Return the tenant's apps by id."""
    everywhere = {region: range(4) for region in CITIES}
    quarter = MONTHS[:3]
    made = [
        _app(slug, RETAIL, _rows(slug, RETAIL, PRODUCTS.get(slug, DRINKS), SOLD_IN, MONTHS), SECTION_ACCESS),
        _app(slug, LEDGER, _rows(slug, LEDGER, ACCOUNTS, everywhere, quarter)),
        _app(slug, PIPELINE, _rows(slug, PIPELINE, DEALS, everywhere, quarter)),
    ]
    return {app.id: app for app in made}


def app_id(slug: str, name: str) -> str:
    """Return the id of an app, the same at each start so that pages may hold it."""
    return str(uuid.uuid5(uuid.NAMESPACE_URL, f"{slug}/{name}"))


def _rows(
    slug: str, name: str, products: Sequence[str], sold_in: Mapping[str, Iterable[int]], months: Sequence[str]
) -> tuple[Row, ...]:
    return tuple(
        _row(f"{slug}/{name}", product, region, month)
        for region, numbers in sold_in.items()
        for product in [products[number] for number in numbers if number < len(products)]
        for month in months
    )


def _app(slug: str, name: str, rows: tuple[Row, ...], section_access: tuple[Rule, ...] = ()) -> App:
    table = Table(name, FIELDS, rows, {"Month": {month: at for at, month in enumerate(MONTHS, start=1)}})
    dimension = Stored(charts.master_dimension("dim-product", "Product", "Product line"))
    measure = Stored(charts.master_measure("mea-sales", "Sum([Sales])", "Total sales"))
    objects = {stored.id: stored for stored in _objects()}
    return App(
        app_id(slug, name), name, table, objects, {dimension.id: dimension}, {measure.id: measure}, section_access
    )


def _row(seed: str, product: str, region: str, month: str) -> Row:
    """Invent the figures of one product in one region and month: whole numbers that look alike at each start."""
    place = zlib.crc32(f"{seed}/{product}/{region}".encode())
    swing = zlib.crc32(f"{seed}/{product}/{region}/{month}".encode())
    units = 20 + place % 80 + swing % 30
    price = 4 + zlib.crc32(f"{seed}/{product}".encode()) % 40
    cities = CITIES[region]
    return {
        "Product": product,
        "Region": region,
        "Month": month,
        "Channel": "Web shop" if region == "Online" else CHANNELS[swing % len(CHANNELS)],
        "City": cities[swing // 7 % len(cities)],
        "Sales": units * price,
        "Margin": units * price * (15 + place % 25) // 100,
        "Units": units,
    }


def _objects() -> list[Stored]:
    by_product = _chart("sales-by-product", "barchart", charts.BAR, "Sales by product", "Product")
    by_month = _chart("sales-by-month", "linechart", charts.LINE, "Sales by month", "Month")
    by_region = _chart("sales-by-region", "piechart", charts.PIE, "Sales by region", "Region")
    total = _chart("total-sales", "kpi", charts.KPI, "Total sales")
    draft = _chart("draft-chart", "barchart", charts.BAR, "Sales by city", "City")
    published = [
        by_product,
        by_month,
        by_region,
        total,
        charts.sheet("overview", "Overview", 0, [by_product, by_region, total]),
        charts.sheet("details", "Details", 1, [by_month]),
    ]
    private = [draft, charts.sheet("drafts", "Drafts", 2, [draft])]
    return [*map(Stored, published), *(Stored(properties, AUTHOR) for properties in private)]


def _chart(object_id: str, kind: str, look: Json, title: str, *fields: str) -> Json:
    """Return a chart of the sales: lines follow their dimension, other charts show what is largest first."""
    dimensions = [charts.dimension(field) for field in fields]
    cube = charts.hypercube(dimensions, [charts.measure("Sum([Sales])", "Sales")], by_size=kind != "linechart")
    return charts.chart(object_id, kind, look, title, cube)
