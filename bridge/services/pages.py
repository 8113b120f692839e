"""Old frames in the text of a page or template, replaced where that is safe. Everything else stays byte for byte."""

import re
from bisect import bisect_left
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from enum import StrEnum

from bridge.services.frames import ORIGIN, Difference, Replacement, Verdict, is_frame, replacement
from bridge.services.markup import (
    MARKED,
    Codes,
    Tag,
    Unreadable,
    attributes_of,
    blocks,
    lines_of,
    read_tag,
    tag_end,
    without_code,
)

SOURCES = ("src", "data-bridge-src", "data-src")
KEPT = re.compile(r"id|class|style|title|role|hidden|dir|slot|data-(?!src$|bridge-src$).*|aria-.*")
WORDS = (
    "align allow allowfullscreen allowtransparency border credentialless csp fetchpriority frameborder height hspace"
    " importance loading longdesc marginheight marginwidth mozallowfullscreen name referrerpolicy sandbox scrolling"
    " seamless src data-src data-bridge-src vspace webkitallowfullscreen width"
)
OF_FRAMES = frozenset(WORDS.split())
"""They speak of the frame alone, so nothing is lost with them."""
BOUND = re.compile(r"^[:@*#(\[]|^(?:v|x|ng|hx|th)[-:]|[.:@]")
"""Attributes that a front-end framework reads."""
LENGTH = re.compile(r"\s*(\d+(?:\.\d+)?|\ufdd0\d+\ufdd1)\s*(%?)")
INLINE = "display:inline-block"
ENCODES = re.compile(r"url_?(?:en)?code|urlquote|urlquery|encodeURI|CGI\.escape|iriencode|\bu\(", re.IGNORECASE)
BUILDS = re.compile(r"""["'][^"']*&""")

LOOKS = re.compile(r"/single/?\?|/sense/app/", re.IGNORECASE)
APPID = re.compile(r"[?&;]appid=", re.IGNORECASE)
LOOKS_OUTSIDE = re.compile(r"/single/?\?", re.IGNORECASE)
"""Links into the tenant hold /sense/app/ too, and need no conversion."""
OPENING = re.compile(
    r"(?P<frame><iframe(?=[\s/>]))|<(?P<raw>script|style|template|textarea|title|noscript|xmp)(?=[\s/>])"
    r"|(?P<tag><[a-z][^\s/>]*)|(?P<note>\{%-?\s*comment\b)|(?P<code><!--|\{\{!--|\{\{|\{%|\{#|<\?|<%)",
    re.IGNORECASE,
)
CLOSINGS = {"<!--": "-->", "{{!--": "--}}", "{{": "}}", "{%": "%}", "{#": "#}", "<?": "?>", "<%": "%>"}
TO_THE_END = frozenset({"<!--", "<?"})
"""What never closes hides the rest of the page."""
FRAME_END = re.compile(r"</iframe\s*>|<iframe(?=[\s/>])", re.IGNORECASE)
NOTE_END = re.compile(r"\{%-?\s*endcomment\s*-?%\}")
SCRIPT = re.compile(r"<script(?=[\s/>])", re.IGNORECASE)
OUR_SCRIPT = re.compile(r"[^?#]*/t/[a-z0-9-]+/embed\.js(?:[?#].*)?", re.DOTALL)
HEAD_END = re.compile(r"</head\s*>", re.IGNORECASE)

FROM_TEMPLATE = "comes from the template: check that it fits there"
ENCODED = "is encoded for an address by the template: take that off"
SELF_CLOSED = "browsers took what follows for the frame's own text: it shows now"
NO_SIZE = "is not given here: give the new element one, its style sheet may mean frames alone"
NAMED = "goes with the frame: links, forms and scripts that target it need another way"
CONTENT = "goes with the frame: what stood between its tags is deleted"
LOST = "has no counterpart on the new element"


class Fate(StrEnum):
    """What happened to a frame, or to a line that looks like one."""

    CONVERTED = "converted"
    DIFFERENT = "different"
    NONE = "none"
    BY_HAND = "by_hand"
    NOT_LOOKED_AT = "not_looked_at"


OUTSIDE = "an address outside of a frame"
NOTES = {
    "hidden": (Fate.NOT_LOOKED_AT, "in a comment, a script or template code"),
    "text": (Fate.BY_HAND, OUTSIDE),
}


@dataclass(frozen=True, slots=True)
class Finding:
    """One frame; `why` says what kept it from being replaced, `origin` is where it leads."""

    line: int
    fate: Fate
    differences: tuple[Difference, ...] = ()
    why: str = ""
    origin: str = ""


@dataclass(frozen=True, slots=True)
class Rewritten:
    """The new text of a page, and what was found in the old one."""

    text: str
    findings: tuple[Finding, ...]


def rewrite(text: str) -> Rewritten:
    """Replace the old frames of a page."""
    page = _Page(text)
    for kind, start, end in page.pieces():
        if kind == "frame":
            page.at = page.replace(start, end)
        else:
            page.note(start, end, *NOTES[kind])
    return Rewritten(page.result(), tuple(page.findings))


def look(text: str) -> Rewritten:
    """Tell of each line that looks like a frame in a file that is no page; replace nothing."""
    page = _Page(text)
    page.note(0, len(text), Fate.BY_HAND, "code builds it")
    return Rewritten(text, tuple(page.findings))


def with_script(text: str, url: str) -> str | None:
    """Return the page with our script at the end of its head, as it is where it has one, None without a head."""
    if _has_script(text, url):
        return text
    found = (
        match
        for kind, start, end in _Page(text).pieces()
        if kind == "text" and (match := HEAD_END.search(text, start, end))
    )
    at = next((match.start() for match in found), None)
    if at is None:
        return None
    indent, script = _indent(text, at), f'<script src="{url}" defer></script>'
    if indent is None:
        return text[:at] + script + text[at:]
    return f"{text[:at]}  {script}{_newline(text, at)}{indent}{text[at:]}"


def _has_script(text: str, url: str) -> bool:
    """Tell whether the page loads our script, from this address or from any bridge."""
    tags = (
        match.end()
        for kind, start, _end in _Page(text).pieces()
        if kind == "hidden" and (match := SCRIPT.match(text, start))
    )
    found = (each.value for start in tags for each in attributes_of(text, start) if each.name in {"src", "data-src"})
    longer = (f"{url}?", f"{url}#")
    return any(
        each == url or each.startswith(longer) or OUR_SCRIPT.fullmatch(without_code(each))
        for each in map(str.strip, found)
    )


@dataclass(slots=True)
class _Page:
    """A page while it is read from `at` on; edits are kept aside."""

    text: str
    at: int = 0
    edits: list[tuple[int, int, str]] = field(default_factory=list)
    findings: list[Finding] = field(default_factory=list)
    unclosed: set[str] = field(default_factory=set)
    breaks: list[int] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.breaks = [match.start() for match in re.finditer("\n", self.text)]

    def pieces(self) -> Iterator[tuple[str, int, int]]:
        """Yield text, hidden parts (comments, scripts, template code) and the beginnings of frames, in order."""
        while match := OPENING.search(self.text, self.at):
            if self.at < match.start():
                yield "text", self.at, match.start()
            self.at = match.end() if match["frame"] else self._end(match)
            kind = "frame" if match["frame"] else "text" if match["tag"] else "hidden"
            yield kind, match.start(), self.at
        yield "text", self.at, len(self.text)

    def _end(self, match: re.Match[str]) -> int:
        if match["tag"]:
            return tag_end(self.text, match.end())
        if match["raw"]:
            return self._raw_end(match["raw"].lower(), match.end())
        if match["note"]:
            return self._note_end(match.end())
        opening = match["code"]
        closing = CLOSINGS[opening]
        at = -1 if closing in self.unclosed else self.text.find(closing, match.end())
        if at >= 0:
            return at + len(closing)
        self.unclosed.add(closing)  # looked for once: a page full of braces is read in one go
        return len(self.text) if opening in TO_THE_END else match.end()

    def _note_end(self, start: int) -> int:
        if "endcomment" not in self.unclosed:
            if found := NOTE_END.search(self.text, start):
                return found.end()
            self.unclosed.add("endcomment")
        return start

    def _raw_end(self, name: str, start: int) -> int:
        depth = 1
        for each in re.compile(rf"<(/?){name}(?=[\s/>])[^>]*>?", re.IGNORECASE).finditer(self.text, start):
            if name == "template" or each[1]:
                depth += -1 if each[1] else 1
            if depth == 0:
                return each.end()
        return len(self.text)

    # --- what is found ---

    def note(self, start: int, end: int, fate: Fate, why: str) -> None:
        """Tell of each line that looks like a frame where none is read."""
        looks = LOOKS_OUTSIDE if why == OUTSIDE else LOOKS
        found = {self._line(match.start()): None for match in looks.finditer(self.text, start, end)}
        self.findings += [Finding(line, fate, why=why) for line in found]

    def _line(self, at: int) -> int:
        return bisect_left(self.breaks, at) + 1

    def replace(self, start: int, end: int) -> int:
        """Replace the frame whose tag begins at *start*, if that is safe; return where to read on."""
        after = tag_end(self.text, end)
        try:
            return self._replaced(start, read_tag(self.text, end))
        except Unreadable as problem:
            if APPID.search(self.text, start, after) or LOOKS.search(self.text, start, after):
                self.findings.append(Finding(self._line(start), Fate.BY_HAND, why=str(problem)))
            return after

    def _replaced(self, start: int, tag: Tag) -> int:
        codes = Codes()
        src = _address(tag, codes)
        if src is None:
            if any(LOOKS.search(each.value) for name, each in tag.attributes.items() if name not in SOURCES):
                raise Unreadable("its address is not written in src")
            return tag.end
        made = replacement(src)
        origin = codes.restored(match[0]) if (match := ORIGIN.match(src.strip())) else ""
        if made.verdict == Verdict.NONE:
            missed = _restored(made.differences, codes)
            self.findings.append(Finding(self._line(start), Fate.NONE, missed, origin=origin))
            return tag.end
        kept = _Kept.of(tag, codes)
        closing = self._closing(tag)
        differences = [*made.differences, *kept.differences, *_of_template(made, codes)]
        if closing is None:
            differences.append(Difference("/>", "", SELF_CLOSED))
        elif self.text[tag.end : closing.start()].strip():
            differences.append(Difference("content", "", CONTENT))
        end = closing.end() if closing else tag.end
        self.edits.append((start, end, self._markup(start, tag, made, kept, codes)))
        missed = _restored(differences, codes)
        fate = Fate.DIFFERENT if missed else Fate.CONVERTED
        self.findings.append(Finding(self._line(start), fate, missed, origin=origin))
        return end

    def _closing(self, tag: Tag) -> re.Match[str] | None:
        """Return the tag that closes the element, None for one that closes itself. Raises Unreadable."""
        match = FRAME_END.search(self.text, tag.end)
        if match is None or not match[0].startswith("</"):
            if tag.closes_itself:
                return None
            raise Unreadable("it is not closed")
        inner = self.text[tag.end : match.start()]
        if tag.closes_itself and inner.strip():
            raise Unreadable("it is closed twice")
        if blocks(inner):
            raise Unreadable("template code stands inside of it")
        return match

    def _markup(self, start: int, tag: Tag, made: Replacement, kept: "_Kept", codes: Codes) -> str:
        indent, known = _indent(self.text, start), self.text[start : tag.end]
        lines = [line for each in made.elements[:-1] for line in lines_of(each, codes, known)]
        main = list(lines_of(made.elements[-1], codes, known))
        if kept.attributes:
            inner = main if indent is None else [f"  {line}" for line in main]
            main = [codes.restored(f"<{kept.box} {' '.join(kept.attributes)}>"), *inner, f"</{kept.box}>"]
        lines += main
        if indent is None:
            return "".join(line.strip() for line in lines)
        return f"{_newline(self.text, start)}{indent}".join(lines)

    def result(self) -> str:
        parts, at = [], 0
        for start, end, new in self.edits:
            parts += [self.text[at:start], new]
            at = end
        return "".join([*parts, self.text[at:]])


@dataclass(frozen=True, slots=True)
class _Kept:
    """What the box around the new element takes over: the element itself has no box that could be sized."""

    attributes: tuple[str, ...]
    differences: tuple[Difference, ...]

    @property
    def box(self) -> str:
        """A frame stands in its line like a word, in paragraphs too; a class or an id may say otherwise."""
        return "span" if any(INLINE in each for each in self.attributes) else "div"

    @classmethod
    def of(cls, tag: Tag, codes: Codes) -> "_Kept":
        """Read them off the tag of the old frame. Raises Unreadable."""
        values = {name: codes.read(each) for name, each in tag.attributes.items()}
        if any(BOUND.search(name) for name in values):
            raise Unreadable("a front-end framework reads its attributes")
        if "srcdoc" in values:
            raise Unreadable("it holds a page of its own (srcdoc)")
        kept = [each.raw for name, each in tag.attributes.items() if name != "style" and KEPT.fullmatch(name)]
        lost = [name for name in values if not KEPT.fullmatch(name) and name not in OF_FRAMES]
        missed = [Difference(name, values[name], LOST) for name in lost]
        missed += [Difference("name", values["name"], NAMED)] if values.get("name") else []
        sizes = {name: match for name in ("width", "height") if (match := LENGTH.match(values.get(name, "")))}
        missed += [Difference(name, values[name], FROM_TEMPLATE) for name in sizes if codes.inside(values[name])]
        if "height" not in sizes and not _sets("height", values.get("style", "")):
            missed.append(Difference("height", "", NO_SIZE))
        rules = {name: f"{name}:{each[1]}{each[2] or 'px'}" for name, each in sizes.items()}
        return cls((*kept, *_style(tag, rules)), tuple(missed))


def _style(tag: Tag, sizes: dict[str, str]) -> Iterator[str]:
    """Yield a style attribute, where there is anything to say in it."""
    old = tag.attributes.get("style")
    written = old.value.strip() if old else ""
    if not sizes and not written:
        return
    rules = [*sizes.values(), *filter(None, [written])]
    if "class" not in tag.attributes:
        default = [] if "width" in sizes or _sets("width", written) else ["width:300px"]  # as browsers do
        rules = [INLINE, *default, *rules]
    quote = old.raw[-1] if old and old.raw[-1] in {'"', "'"} else '"'
    yield f"style={quote}{';'.join(rules)}{quote}"


def _sets(rule: str, style: str) -> bool:
    return re.search(rf"(?:^|[;\s]){rule}\s*:", style, re.IGNORECASE) is not None


def _address(tag: Tag, codes: Codes) -> str | None:
    """Return the address of an old frame, None for other frames. Raises Unreadable."""
    found = [codes.read(tag.attributes[name]) for name in SOURCES if name in tag.attributes]
    src = next((value for value in found if is_frame(value)), None)
    if src is None and any(APPID.search(value) and MARKED.search(value.partition("?")[0]) for value in found):
        raise Unreadable("the template builds a part of its address")
    if src is not None and any(BUILDS.search(code) for code in codes.inside(src)):
        raise Unreadable("the template builds a part of its address")
    return src


def _of_template(made: Replacement, codes: Codes) -> Iterator[Difference]:
    """Yield what must be looked at because the template fills it in."""
    rest = list(made.elements)
    while rest:
        element = rest.pop(0)
        rest += element.children
        for name, value in [*element.attributes.items(), *([(element.tag, element.text)] if element.text else [])]:
            if any(ENCODES.search(code) for code in codes.inside(value)):
                yield Difference(name, value, ENCODED)
            elif codes.inside(value) and (element.tag in {"field", "value"} or not MARKED.fullmatch(value)):
                yield Difference(name, value, FROM_TEMPLATE)


def _restored(differences: Iterable[Difference], codes: Codes) -> tuple[Difference, ...]:
    """Return them once each, with the template's code in place of its marks."""
    shown = (Difference(codes.restored(each.name), codes.restored(each.value), each.why) for each in differences)
    return tuple(dict.fromkeys(shown))


def _indent(text: str, at: int) -> str | None:
    """Return the blanks before *at*, None where something else is on the line."""
    before = text[text.rfind("\n", 0, at) + 1 : at]
    return None if before.strip() else before


def _newline(text: str, at: int) -> str:
    near = text.rfind("\n", 0, at)
    near = text.find("\n", at) if near < 0 else near
    return "\r\n" if near > 0 and text[near - 1] == "\r" else "\n"
