"""What parity is told to look at."""

import pytest
from pydantic import ValidationError

from bridge.evidence import Area, ParityPlan


def test_probes_have_names_of_their_own() -> None:
    """Rows are kept by name: of two with one name, one would stand for both."""
    probe = {"name": "sales", "app_id": "app-1", "dimension": "Region", "measure": "Sum(Sales)"}

    with pytest.raises(ValidationError, match="two probes have the same name"):
        ParityPlan.model_validate({"probes": [probe, probe | {"dimension": "Product"}]})
    assert len(ParityPlan.model_validate({"probes": [probe, probe | {"name": "by product"}]}).probes) == 2


@pytest.mark.parametrize(
    ("pattern", "item", "is_covered"),
    [
        ("Playground: *", "Playground: editor", True),
        ("Team ?: *", "Team 7: editor", True),
        ("Sales [EU]: *", "Sales [EU]: consumer", True),
        ("Sales [EU]: *", "Sales E: consumer", False),
        ("[!a]*", "Sales: consumer", False),
        ("playground: *", "Playground: editor", False),
    ],
)
def test_in_what_is_ignored_brackets_are_a_part_of_the_name(pattern: str, item: str, *, is_covered: bool) -> None:
    """People name spaces and apps like that, and `*` and `?` alone stand for anything."""
    plan = ParityPlan.model_validate({"ignores": [{"area": "spaces", "item": pattern, "reason": "known"}]})

    assert bool(plan.why_ignored(Area.SPACES, item)) is is_covered
