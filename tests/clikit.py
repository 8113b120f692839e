"""What tests of the command line share: how a command ends."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

EXAMPLE = Path(__file__).parents[1] / "docs" / "reference" / "tenants.example.toml"


class Outcome(NamedTuple):
    code: int
    out: str
    err: str

    def json(self) -> Any:  # noqa: ANN401 - whatever the command prints
        return json.loads(self.out)


Run = Callable[..., Outcome]
