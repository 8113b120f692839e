"""What stands for an old frame. The cases are shared with embed.js, which builds them in the browser."""

import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bridge.services.frames import Element, Verdict, is_frame, replacement

CASES = json.loads((Path(__file__).parents[1] / "frames.json").read_text())
WORDS = (
    "/single/? appid=a &obj=o &sheet=s &select= F,V;W :: $ clearall &opt= currsel % %E9 /sense/app/ /select/ /sheet/"
    " state / ? # & = , ; \n é \udce9 // lang=x"
)
PIECES = st.sampled_from(WORDS.split(" "))


def written(element: Element) -> dict[str, Any]:
    made: dict[str, Any] = {"tag": element.tag, "attributes": dict(element.attributes)}
    if element.children:
        made["children"] = [written(child) for child in element.children]
    return made | ({"text": element.text} if element.text else {})


@pytest.mark.parametrize("case", CASES, ids=lambda case: case["name"])
def test_a_frame_becomes_what_its_case_says(case: dict[str, Any]) -> None:
    made = replacement(case["src"])

    assert [written(element) for element in made.elements] == case["elements"]
    assert [{"name": each.name, "value": each.value, "why": each.why} for each in made.differences] == case[
        "differences"
    ]
    assert made.verdict == case["verdict"]


def test_the_cases_have_names_of_their_own() -> None:
    assert len({case["name"] for case in CASES}) == len(CASES) > 25


@settings(deadline=None)
@given(st.lists(PIECES | st.text(max_size=5), max_size=12).map("".join))
def test_any_address_gets_an_answer(src: str) -> None:
    made = replacement(src)

    assert (made.verdict == Verdict.NONE) == (made.elements == ())
    assert made.elements or made.differences
    assert is_frame(src) or made.verdict == Verdict.NONE


@pytest.mark.parametrize(
    "src",
    [
        "https://video.example/embed/x?next=/single/?appid=a",
        "/singles/?appid=a&obj=o",
        "#/single/?appid=a",
        "",
        "https://shop.example/nonsense/app/a",
    ],
)
def test_other_addresses_are_no_frames(src: str) -> None:
    assert not is_frame(src)
