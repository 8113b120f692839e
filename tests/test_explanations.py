"""Every error code that people can meet is explained, in the words of the documents."""

import re
from collections.abc import Iterator
from pathlib import Path
from typing import get_args

import pytest

from bridge import errors
from bridge.errors import BridgeError, TenantError
from bridge.explanations import EXPLANATIONS, Explanation, Place, explain

ERRORS = Path(__file__).parents[1] / "docs" / "reference" / "errors.md"
WEB_ONLY_CODES = {"not_found", "method_not_allowed", "internal_error"}


def codes(root: type[BridgeError] = BridgeError) -> Iterator[str]:
    for each in root.__subclasses__():
        if each.__module__ == errors.__name__:
            yield from {each.code()} - {TenantError.code()}
            yield from codes(each)


def test_every_code_is_explained_and_no_other() -> None:
    assert set(EXPLANATIONS) == set(codes()) | WEB_ONLY_CODES


def test_a_code_of_another_version_is_not_known() -> None:
    assert explain("from_the_future") is None
    assert explain("tenant_refused") is EXPLANATIONS["tenant_refused"]


@pytest.mark.parametrize(("code", "explanation"), EXPLANATIONS.items(), ids=EXPLANATIONS)
def test_it_says_what_to_change_where(code: str, explanation: Explanation) -> None:
    texts = [explanation.people, *(text for cause in explanation.causes for text in (cause.why, cause.fix))]

    assert explanation.causes, code
    assert all(text.endswith(".") and text.count("`") % 2 == 0 for text in texts), texts
    assert {cause.see for cause in explanation.causes} <= {None, *get_args(Place)}
    assert set(re.findall(r"{(\w*)}", " ".join(texts))) <= {"slug"}


def test_the_reference_means_the_same() -> None:
    """What a code means stands at the beginning of its line there, word for word."""
    rows = [line.split("|") for line in ERRORS.read_text().splitlines() if line.startswith("| `")]
    told = {row[1].strip(" `"): row[3].strip() for row in rows}
    unlike = {code for code, meaning in told.items() if not meaning.startswith(EXPLANATIONS[code].meaning)}

    assert unlike == set()
