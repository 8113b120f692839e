"""One start tag of an HTML page or template: reading its attributes, writing new ones. Template code stays as it is."""

import html
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from html.entities import html5

from bridge.services.frames import Element

BRACKETS = (
    ("{{{", "}}}"),
    ("{{", "}}"),
    ("{%", "%}"),
    ("{#", "#}"),
    ("{!!", "!!}"),
    ("<?", "?>"),
    ("<%", "%>"),
    ("${", "}"),
)
"""Where the code of templates begins and ends: Jinja, Django, Twig, Handlebars, Go, Blade, PHP, ERB, EJS."""
CODE = "|".join(
    f"{re.escape(begin)}(?:(?!<iframe).){{0,500}}?{re.escape(end)}" for begin, end in BRACKETS
)  # bounded, so that a lost bracket reaches neither far nor into the next frame
OUTPUT = re.compile(
    r"\{\{(?!\{?[-~\s]*(?:[#/^>!*]|(?:if|else|end|range|with|define|template|block|break|continue)\b))"
    r"|\{!!|\$\{|<\?=|<%=|<\?(?:php)?\s+(?:echo|print)\b[^;{]*;?\s*\?>$",
    re.IGNORECASE,
)
"""Code that prints a value, and decides nothing."""
TOKEN = re.compile(
    rf"""(?P<space>[\s/]+)
    |(?P<end>>)
    |(?P<code>{CODE})
    |(?P<name>[^\s"'<>/={{}}]+)
     (?:\s*=\s*(?P<value>"(?>{CODE}|[^"])*+"|'(?>{CODE}|[^'])*+'|(?>{CODE}|[^\s"'<>`])++))?
    """,
    re.DOTALL | re.IGNORECASE | re.VERBOSE,
)
ENTITY = re.compile(r"&(?:#(?:\d+|x[0-9a-f]+);?|(?P<name>[a-z0-9]+)(?P<end>;|(?!=)))", re.IGNORECASE)
MARKED = re.compile("\ufdd0(\\d+)\ufdd1")
MARKS = "\ufdd0{}\ufdd1"
"""Code in a value is replaced by a marked number while the value is worked on; Unicode gives these two to nobody."""
OPENING = re.compile(r"\{(?=[{%#!])|(?<=\$)\{")


class Unreadable(Exception):
    """A tag that is not understood, and is therefore left alone; the message says why."""


@dataclass(frozen=True, slots=True)
class Attribute:
    """An attribute as written: `raw` is the whole of it, `value` what stands between its quotes."""

    name: str
    raw: str
    value: str


@dataclass(frozen=True, slots=True)
class Tag:
    """A start tag with the first attribute of each name, as browsers take it, and where it ends."""

    attributes: Mapping[str, Attribute]
    end: int
    closes_itself: bool


def read_tag(text: str, start: int) -> Tag:
    """Return the tag whose attributes begin at *start*. Raises Unreadable."""
    attributes: dict[str, Attribute] = {}
    at, last = start, ""
    while match := TOKEN.match(text, at):
        at = match.end()
        if match["end"]:
            return Tag(attributes, at, last.rstrip().endswith("/"))
        if match["code"]:
            raise Unreadable("template code stands between its attributes")
        if match["name"]:
            made = _attribute(match)
            attributes.setdefault(made.name, made)
        last = match[0]
    raise Unreadable("its tag cannot be read")


def tag_end(text: str, start: int) -> int:
    """Return where a tag ends, whatever stands in it; *start* for one that cannot be read."""
    at = start
    while match := TOKEN.match(text, at):
        at = match.end()
        if match["end"]:
            return at
    return start


def attributes_of(text: str, start: int) -> Iterator[Attribute]:
    """Yield the attributes that begin at *start*, as far as they can be read, whatever code stands between them."""
    at = start
    while (match := TOKEN.match(text, at)) and not match["end"]:
        at = match.end()
        if match["name"]:
            yield _attribute(match)


def _attribute(match: re.Match[str]) -> Attribute:
    value = match["value"] or ""
    return Attribute(match["name"].lower(), match[0], value[1:-1] if value[:1] in {'"', "'"} else value)


class Codes:
    """The template code of one tag, set aside while its values are worked on."""

    def __init__(self) -> None:
        self._kept: list[str] = []

    def read(self, attribute: Attribute) -> str:
        """Return the value with code replaced by marks and entities decoded. Raises Unreadable."""
        if any(mark in attribute.value for mark in "\ufdd0\ufdd1"):
            raise Unreadable("it holds characters that no text has")
        marked = re.sub(CODE, self._keep, attribute.value, flags=re.DOTALL)
        return ENTITY.sub(_entity, marked)

    def _keep(self, match: re.Match[str]) -> str:
        if not OUTPUT.match(match[0]):
            raise Unreadable("a template decides inside of its tag")
        self._kept.append(match[0])
        return MARKS.format(len(self._kept) - 1)

    def restored(self, value: str) -> str:
        return MARKED.sub(lambda match: self._kept[int(match[1])], value)

    def inside(self, value: str) -> Sequence[str]:
        return [self._kept[int(number)] for number in MARKED.findall(value)]


def _entity(match: re.Match[str]) -> str:
    """Decode a character reference as it counts in an attribute, where `&region=` is no registered trademark."""
    if match["name"] is None:
        return html.unescape(match[0])
    return html5.get(match["name"] + match["end"], match[0])


def blocks(text: str) -> bool:
    """Tell whether there is template code in a text."""
    return re.search(CODE, text, re.DOTALL) is not None


def without_code(value: str) -> str:
    """Return a value with a word in place of each piece of template code."""
    return re.sub(CODE, "code", value, flags=re.DOTALL)


def lines_of(element: Element, codes: Codes, known: str, indent: str = "") -> Iterator[str]:
    """Write an element; characters that *known* does not hold become references, whatever the page's encoding."""
    attributes = "".join(f" {each}" for each in _written(element.attributes, known))
    opening, closing = f"{indent}<{element.tag}{attributes}>", f"</{element.tag}>"
    if not element.children:
        yield codes.restored(f"{opening}{_escaped(element.text, known)}{closing}")
        return
    yield codes.restored(opening)
    for child in element.children:
        yield from lines_of(child, codes, known, indent + "  ")
    yield indent + closing


def _written(attributes: Mapping[str, str], known: str) -> Iterable[str]:
    for name, value in attributes.items():
        if not value:
            yield name
            continue
        quote = "'" if '"' in value and "'" not in value else '"'
        safe = _escaped(value, known).replace(quote, "&#39;" if quote == "'" else "&quot;")
        yield f"{name}={quote}{safe}{quote}"


def _escaped(value: str, known: str) -> str:
    """Return text that is neither markup nor template code."""
    safe = value.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")
    safe = OPENING.sub("&#123;", safe)
    return "".join(each if _is_plain(each, known) else f"&#{ord(each)};" for each in safe)


def _is_plain(character: str, known: str) -> bool:
    return character in "\ufdd0\ufdd1" or (" " <= character <= "~") or (character in known and character not in "\r\n")
