"""What parity is told to look at."""

import pytest
from pydantic import ValidationError

from bridge.evidence import ParityPlan


def test_probes_have_names_of_their_own() -> None:
    """Rows are kept by name: of two with one name, one would stand for both."""
    probe = {"name": "sales", "app_id": "app-1", "dimension": "Region", "measure": "Sum(Sales)"}

    with pytest.raises(ValidationError, match="two probes have the same name"):
        ParityPlan.model_validate({"probes": [probe, probe | {"dimension": "Product"}]})
    assert len(ParityPlan.model_validate({"probes": [probe, probe | {"name": "by product"}]}).probes) == 2
