"""Rewriting a page: what is no frame stays, and no text is too strange to be read."""

import re

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from bridge.services import pages
from bridge.services.pages import NOTE_END, Fate, look, rewrite, with_script

WORDS = (
    '<iframe|<IFRAME |</iframe>| src="|/single/?appid=a|&obj=o|/sense/app/a|&select=F,V;W|"|\'|>|/>|<!--|-->|{{|}}'
    "|{%|%}|{#|#}|<?php |<?= |?>|<% |<%= |%>|<script>|</script>|<template>|</template>|<div |</head>|${|}|{!!|!!}"
    "|\n|\r\n|é|\udce9|\ufdd0|\ufdd1|0|width=| class=x|=|&amp;|&#x27;|&region=|{% comment %}|{% endcomment %}"
)
PIECES = st.lists(st.sampled_from(WORDS.split("|")) | st.text(max_size=4), max_size=30).map("".join)
FRAME = '<iframe src="/single/?appid=a&obj=b" width="1" height="1"></iframe>'
EMBED = '<qlik-embed ui="classic/chart" app-id="a" object-id="b"></qlik-embed>'
BOX = f'<span style="display:inline-block;width:1px;height:1px">{EMBED}</span>'


def fates(text: str) -> list[Fate]:
    return [each.fate for each in rewrite(text).findings]


@settings(deadline=None)
@given(PIECES.filter(lambda text: "<iframe" not in text.lower()))
def test_a_text_without_frames_is_never_changed(text: str) -> None:
    assert rewrite(text).text == text


@settings(deadline=None)
@given(PIECES)
@example("<iframe src=" + "{{" * 200)
@example("{%" * 5000)
@example("<!--" + FRAME)
def test_any_text_can_be_read_and_converting_ends(text: str) -> None:
    once = rewrite(text)

    assert rewrite(once.text).text == once.text
    assert (once.text == text) == (not {Fate.CONVERTED, Fate.DIFFERENT} & {each.fate for each in once.findings})
    assert look(text).text == text
    with_script(text, "/embed.js")


@settings(deadline=None)
@given(before=st.text(st.characters(exclude_characters="<{")), after=st.text(st.characters(exclude_characters="<{")))
def test_what_stands_around_a_frame_stays(before: str, after: str) -> None:
    made = rewrite(f"x{before}x{FRAME}{after}").text

    assert made == f"x{before}x{BOX}{after}"


@pytest.mark.parametrize("reference", ["&amp;", "&#38;", "&#x26;", "&AMP;", "&"])
def test_references_in_an_address_are_decoded(reference: str) -> None:
    assert EMBED in rewrite(FRAME.replace("&", reference)).text


def test_a_parameter_that_begins_like_a_reference_is_none() -> None:
    found = rewrite(FRAME.replace("b&", "b").replace("&obj=b", "&obj=b&region=x&copy=y&lt=z")).findings

    assert [each.name for each in found[0].differences] == ["region", "copy", "lt"]


@pytest.mark.parametrize("value", ["%7B%7B7*7%7D%7D", "%7B%25x%25%7D", "%3C?php%20x?%3E", "%3C%25=x%25%3E", "$%7Bx%7D"])
def test_an_address_cannot_smuggle_template_code_into_a_page(value: str) -> None:
    made = rewrite(FRAME.replace("&obj=b", f"&obj={value}")).text

    assert not re.search(r"\{\{|\{%|<\?|<%|\$\{", made)


def test_the_first_of_repeated_attributes_counts_as_in_browsers() -> None:
    made = rewrite(FRAME.replace(" width", ' SRC="/single/?appid=x&obj=y" src=z width')).text

    assert EMBED in made


@pytest.mark.parametrize(
    "script",
    [
        '<script src="https://other.example/t/acme-2/embed.js" defer>',
        "<SCRIPT defer SRC='/t/acme/embed.js?v=1'>",
        "<script src=/t/acme/embed.js#x>",
        '<script {{ nonce }} src="{{ url_for("bridge") }}/t/acme/embed.js">',
        '<script src="<?= BRIDGE ?>/t/<?= $tenant ?>/embed.js">',
        '<script src="/assets/ours.js">',
        '<script src="/assets/ours.js?v=1">',
    ],
)
def test_a_page_that_has_our_script_gets_no_other(script: str) -> None:
    text = f"<head>{script}</script></head>"

    assert with_script(text, "/assets/ours.js") == text


@pytest.mark.parametrize(
    "script",
    [
        '<script async src="//www.instagram.com/embed.js">',
        '<script src="/t/embed.js">',
        '<script src="/t/acme/x/embed.js">',
        '<script src="/t/acme/embed.json">',
        '<script src="/t/acme/embed.js.map">',
        '<script src="/x?from=/t/acme/embed.js">',
        '<script data-from="/t/acme/embed.js" src="/x.js">',
        '<script src="/x.js">import "/t/acme/embed.js"',
        '<script src="/assets/ours.jsx">',
        '<script src="/other/assets/ours.js">',
        '{# <script src="/t/acme/embed.js"> #}<script>',
    ],
)
def test_the_script_of_somebody_else_is_not_ours(script: str) -> None:
    added = '<script src="/assets/ours.js" defer></script>'

    assert with_script(f"<head>{script}</script></head>", "/assets/ours.js") == f"<head>{script}</script>{added}</head>"


@pytest.mark.parametrize(
    ("old", "names"),
    [
        (FRAME.replace(" width", ' name="report" width'), [("name", "report")]),
        (FRAME.replace(" width", " NAME={{ name }} width"), [("name", "{{ name }}")]),
        (FRAME.replace("></", '>\n<a href="/report">Open it</a></'), [("content", "")]),
        (FRAME.replace(" width", " name=a width").replace("></", "><!-- x --></"), [("name", "a"), ("content", "")]),
        (FRAME.replace(" width", ' name="" width').replace("></", "> \n </"), []),
    ],
)
def test_a_name_or_content_that_goes_with_the_frame_is_a_difference(old: str, names: list[tuple[str, str]]) -> None:
    made = rewrite(f"x{old}")

    assert made.text == f"x{BOX}"
    assert [(each.name, each.value) for each in made.findings[0].differences] == names
    assert fates(old) == [Fate.DIFFERENT if names else Fate.CONVERTED]


def test_what_is_never_closed_is_looked_for_once(monkeypatch: pytest.MonkeyPatch) -> None:
    searched = []

    class Counting:
        def search(self, text: str, start: int) -> re.Match[str] | None:
            searched.append(start)
            return NOTE_END.search(text, start)

    monkeypatch.setattr(pages, "NOTE_END", Counting())

    assert fates("{% comment %}{% endcomment %}" + "{% comment " * 1000 + FRAME) == [Fate.CONVERTED]
    assert len(searched) == 2


def test_the_parts_of_a_page_are_told_apart() -> None:
    assert fates(FRAME) == [Fate.CONVERTED]
    assert fates(f"<!-- {FRAME} -->") == [Fate.NOT_LOOKED_AT]
    assert fates(f"<script>'{FRAME}'</script >{FRAME}") == [Fate.NOT_LOOKED_AT, Fate.CONVERTED]
    assert fates(f"<style>{FRAME}") == [Fate.NOT_LOOKED_AT]
    assert fates("fetch('/single/?appid=a')") == [Fate.BY_HAND]
    assert fates("<a href='/sense/app/a'>") == []
    assert [each.line for each in rewrite(f"\n\n{FRAME}\n{FRAME}").findings] == [3, 4]
