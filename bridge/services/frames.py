"""What stands for an old frame: the address of an `<iframe>` in, Qlik's web components out. No I/O, no HTML text.

`/single/` and `/sense/app/` addresses carry their wishes in parameters; the components take attributes, and not all of
the wishes. Whatever gets lost is a Difference. embed.js asks for it from open pages; tests/frames.json binds both.
"""

import json
import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from types import MappingProxyType
from urllib.parse import parse_qsl, unquote

LIGHT = "drawn by the lightweight chart, which alone takes it"
APP_WIDE = "holds for every embed of the app"
OWN_ELEMENT = "becomes an element of its own"
NOT_DARK = "becomes an element of its own, not a dark one"
NO_EQUIVALENT = "has no equivalent"
UNKNOWN = "is not known"
ALTERNATE_STATE = "alternate states have no equivalent"
NO_VALUES = "names no values"
UNWRITABLE = "a value with both ; and one of & < > cannot be written"
TWICE = "is given more than once; the first one counts"
OBJECT_ALONE = "the object alone is shown"
NO_APP = "no app is named"
NO_OBJECT = "neither object nor sheet is named"
NO_FRAME = "not the address of a chart, a sheet or an app"

SPENT = frozenset({"qlik-web-integration-id", "qlik-csrf-token"})
"""What legacy pages add for the cookie session; the new path has no use for it."""
SECRET = re.compile(r"token|jwt|secret|password|api-?key", re.IGNORECASE)
MASK = "***"

ORIGIN = re.compile(r"^(?:[a-z][a-z0-9+.-]*:)?//[^/]*", re.IGNORECASE)
SINGLE = re.compile(r"(?:^|/)single/?$", re.IGNORECASE)
APP = re.compile(r"(?:^|/)sense/app/([^/]+)(?:/(.*))?$", re.IGNORECASE)
BAD_ESCAPE = re.compile(r"%(?![0-9a-f]{2})", re.IGNORECASE)
DEFAULT_STATE = "$"
NO_INTERACTIONS = {"noselections": ("select",), "nointeraction": ("active", "passive", "select")}
BARS = {"currsel": OWN_ELEMENT, "currsel-dark": NOT_DARK}
OPTIONS_WITHOUT_EQUIVALENT = frozenset({"ctxmenu", "noanimate", "debug"})
SEGMENTS = frozenset({"sheet", "bookmark", "theme", "language", "options", "state"})


class Verdict(StrEnum):
    """How well a frame can be replaced."""

    CONVERTED = "converted"
    DIFFERENT = "different"
    NONE = "none"


@dataclass(frozen=True, slots=True)
class Element:
    """One element of the replacement; `text` only where there are no children."""

    tag: str
    attributes: Mapping[str, str]
    children: tuple["Element", ...] = ()
    text: str = ""


@dataclass(frozen=True, slots=True)
class Difference:
    """A wish of the old address that the new elements do not fulfil, or fulfil in another way."""

    name: str
    value: str
    why: str


@dataclass(frozen=True, slots=True)
class Replacement:
    """What stands for a frame: elements in order, nothing where there is no equivalent."""

    elements: tuple[Element, ...]
    differences: tuple[Difference, ...]

    @property
    def verdict(self) -> Verdict:
        if not self.elements:
            return Verdict.NONE
        return Verdict.DIFFERENT if self.differences else Verdict.CONVERTED


@dataclass(frozen=True, slots=True)
class _Wish:
    """A parameter of the query, or a pair of path segments; `parts` are a selection's field and values."""

    name: str
    value: str
    parts: tuple[str, ...] = ()

    def missed(self, why: str, value: str | None = None) -> Difference:
        shown = self.value if value is None else value
        return Difference(self.name, MASK if shown and SECRET.search(self.name) else shown, why)


def is_frame(src: str) -> bool:
    """Tell whether this is the address of an old frame, wherever it leads."""
    path = _path(src)
    return bool(SINGLE.search(path) or re.search(r"(?:^|/)sense/app(?:/|$)", path, re.IGNORECASE))


def replacement(src: str) -> Replacement:
    """Return what stands for a frame with this address (an attribute's value, HTML entities decoded)."""
    path, query = _path(src), _tidy(src).partition("?")[2]
    wishes = [_Wish(name, value, tuple(value.split(","))) for name, value in parse_qsl(query, keep_blank_values=True)]
    if SINGLE.search(path):
        return _single(wishes)
    if match := APP.search(path):
        app_id, rest = match.groups(default="")
        return _Frame("app", _decoded(app_id)).filled([*_of_path(rest.split("/")), *wishes])
    return _nothing("path", path, NO_FRAME)


def _path(src: str) -> str:
    return ORIGIN.sub("", _tidy(src).partition("?")[0])


def _tidy(src: str) -> str:
    """Return the address as browsers read it, without its fragment."""
    return re.sub(r"[\t\n\r]", "", src.strip()).partition("#")[0]


def _single(wishes: Sequence[_Wish]) -> Replacement:
    first = {wish.name.lower(): wish.value for wish in reversed(wishes) if wish.value}
    if "snapshot" in first:
        return _nothing("snapshot", first["snapshot"], NO_EQUIVALENT)
    if "appid" not in first:
        return _nothing("appid", "", NO_APP)
    if not first.keys() & {"obj", "sheet"}:
        return _nothing("obj", "", NO_OBJECT)
    return _Frame("chart" if "obj" in first else "sheet", first["appid"]).filled(wishes)


def _nothing(name: str, value: str, why: str) -> Replacement:
    return Replacement((), (Difference(name, value, why),))


def _of_path(segments: Iterable[str]) -> Iterable[_Wish]:
    rest = [_decoded(segment) for segment in segments if segment]
    while rest:
        key = rest.pop(0)
        if key.lower() == "select":
            name, values, rest = "".join(rest[:1]), "".join(rest[1:2]), rest[2:]
            yield _Wish(key, f"{name}/{values}", (name, *values.split(";")))
        elif key.lower() in SEGMENTS:
            value, rest = "".join(rest[:1]), rest[1:]
            yield _Wish(key, value)
        else:
            yield _Wish(key, "")


def _decoded(segment: str) -> str:
    """Return a path segment without its escapes, as it is where they are broken."""
    try:
        return segment if BAD_ESCAPE.search(segment) else unquote(segment, errors="strict")
    except UnicodeDecodeError:
        return segment


@dataclass(slots=True)
class _Frame:
    """Collects the wishes of one frame, then builds its elements."""

    target: str
    app_id: str
    plain: dict[str, str] = field(default_factory=dict)
    selections: list[tuple[str, list[str]]] = field(default_factory=list)
    clear: bool = False
    bar: bool = False
    no_interactions: list[str] = field(default_factory=list)
    differences: list[Difference] = field(default_factory=list)

    def filled(self, wishes: Iterable[_Wish]) -> Replacement:
        for wish in wishes:
            if wish.name.lower() not in SPENT and (wish.value or wish.name.lower() not in HANDLERS):
                HANDLERS.get(wish.name.lower(), _Frame.unknown)(self, wish)
        return Replacement(tuple(self._elements()), tuple(self.differences))

    # --- one method a wish ---

    def unknown(self, wish: _Wish) -> None:
        self._miss(wish, UNKNOWN)

    def without_equivalent(self, wish: _Wish) -> None:
        self._miss(wish, NO_EQUIVALENT)

    def once(self, wish: _Wish) -> None:
        name = wish.name.lower()
        if name in self.plain:
            self._miss(wish, TWICE)
            return
        self.plain[name] = wish.value

    def object(self, wish: _Wish) -> None:
        self.once(wish) if self.target == "chart" else self.unknown(wish)

    def app(self, wish: _Wish) -> None:
        self.once(wish) if self.target != "app" else self.unknown(wish)

    def sheet(self, wish: _Wish) -> None:
        self.once(wish) if self.target != "chart" else self._miss(wish, OBJECT_ALONE)

    def bookmark(self, wish: _Wish) -> None:
        is_first = "bookmark" not in self.plain
        self.once(wish)
        if is_first and self.target != "app":
            self._miss(wish, APP_WIDE)

    def language(self, wish: _Wish) -> None:
        if self.target != "chart" or wish.name.lower() != "lang":
            self._miss(wish, NO_EQUIVALENT)
            return
        is_first = "lang" not in self.plain
        self.once(wish)
        if is_first:
            self._miss(wish, LIGHT)

    def select(self, wish: _Wish) -> None:
        name, *values = wish.parts
        state, separator, inner = name.partition("::")
        if separator and state != DEFAULT_STATE:
            self._miss(wish, ALTERNATE_STATE)
            return
        name, values = inner if separator else name, [value for value in values if value]
        if name.lower() == "clearall" and not values:
            self._clear(wish)
        elif not name or not values:
            self._miss(wish, NO_VALUES)
        else:
            self._choose(wish, name, values)

    def _choose(self, wish: _Wish, name: str, values: list[str]) -> None:
        if self.target != "app" and not _is_writable(values):
            self._miss(wish, UNWRITABLE)
            return
        self.selections.append((name, values))
        if self.target != "app":
            self._miss(wish, APP_WIDE)

    def _clear(self, wish: _Wish) -> None:
        self.clear = True
        if self.target != "app":
            self._miss(wish, APP_WIDE)

    def options(self, wish: _Wish) -> None:
        if self.target == "app" and wish.value.lower() == "clearselections":
            self.clear = True
        else:
            self.unknown(wish)

    def state(self, wish: _Wish) -> None:
        if self.target != "app" or wish.value.lower() != "analysis":
            self.unknown(wish)

    def opt(self, wish: _Wish) -> None:
        for option in filter(None, (part.strip() for part in wish.parts)):
            self.differences.append(wish.missed(self._opted(option.lower()), option))

    def _opted(self, option: str) -> str:
        """Take one option; return what is different about it, as each one is."""
        if option in BARS and self.target != "app":
            self.bar = True
            return BARS[option]
        if option in NO_INTERACTIONS and self.target == "chart":
            self.no_interactions += NO_INTERACTIONS[option]
            return LIGHT
        is_known = option in OPTIONS_WITHOUT_EQUIVALENT | BARS.keys() | NO_INTERACTIONS.keys()
        return NO_EQUIVALENT if is_known else UNKNOWN

    def _miss(self, wish: _Wish, why: str) -> None:
        self.differences.append(wish.missed(why))

    # --- the elements ---

    def _elements(self) -> Iterable[Element]:
        if self.target == "app":
            yield Element("qlik-embed", self._of_app())
            return
        state = self._initial_state()
        if state or self.selections:
            children = tuple(_field(name, values) for name, values in self.selections)
            yield Element("qlik-initial-selections", self._common() | {"hidden": ""} | state, children)
        if self.bar:
            yield Element("qlik-embed", {"ui": "analytics/selections"} | self._common())
        yield Element("qlik-embed", self._of_chart() if self.target == "chart" else self._of_sheet())

    def _common(self, **ids: str | None) -> dict[str, str]:
        named = {"app-id": self.app_id, **{name.replace("_", "-"): value for name, value in ids.items()}}
        return {name: value for name, value in (named | {"identity": self.plain.get("identity")}).items() if value}

    def _theme(self) -> dict[str, str]:
        return {"theme": self.plain["theme"]} if "theme" in self.plain else {}

    def _of_chart(self) -> dict[str, str]:
        context = self._context()
        ui = {"ui": "analytics/chart" if context else "classic/chart"}
        return ui | self._common(object_id=self.plain["obj"]) | self._theme() | context

    def _of_sheet(self) -> dict[str, str]:
        return {"ui": "analytics/sheet"} | self._common(sheet_id=self.plain["sheet"]) | self._theme()

    def _of_app(self) -> dict[str, str]:
        made = {"ui": "classic/app"} | self._common(sheet_id=self.plain.get("sheet")) | self._theme()
        if "bookmark" in self.plain:
            made["bookmark"] = self.plain["bookmark"]
        if self.clear:
            made["clear-selections"] = "true"
        if self.selections:
            made["select:json"] = _json([{"field": name, "values": values} for name, values in self.selections])
        return made

    def _initial_state(self) -> dict[str, str]:
        made = {"clear-all": "true"} if self.clear else {}
        return made | ({"bookmark-id": self.plain["bookmark"]} if "bookmark" in self.plain else {})

    def _context(self) -> dict[str, str]:
        wanted: dict[str, object] = {"language": self.plain["lang"]} if "lang" in self.plain else {}
        if self.no_interactions:
            wanted["interactions"] = dict.fromkeys(sorted(self.no_interactions), False)
        return {"context:json": _json(wanted)} if wanted else {}


HANDLERS: Mapping[str, Callable[[_Frame, _Wish], None]] = MappingProxyType(
    {
        "appid": _Frame.app,
        "obj": _Frame.object,
        "sheet": _Frame.sheet,
        "identity": _Frame.once,
        "theme": _Frame.once,
        "bookmark": _Frame.bookmark,
        "lang": _Frame.language,
        "language": _Frame.language,
        "select": _Frame.select,
        "opt": _Frame.opt,
        "options": _Frame.options,
        "state": _Frame.state,
        "callback": _Frame.without_equivalent,
    }
)


def _field(name: str, values: Sequence[str]) -> Element:
    """Return a selection; the attribute separates values by semicolons, so one that holds any needs children."""
    if any(";" in value for value in values):
        return Element("field", {"name": name}, tuple(Element("value", {}, (), value) for value in values))
    return Element("field", {"name": name, "values": ";".join(values)})


def _is_writable(values: Sequence[str]) -> bool:
    """Tell whether the component reads the values back: it takes a child's markup for its text, and trims it."""
    text = "".join(values)
    return ";" not in text or not (set(text) & set("&<>") or any(value != value.strip() for value in values))


def _json(value: object) -> str:
    return json.dumps(value, ensure_ascii=False, separators=(",", ":"))
