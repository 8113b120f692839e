"""Texts that people write: short, and without control characters, which forge logs and pages."""

from typing import Annotated

from pydantic import AfterValidator, Field, StringConstraints

from bridge.texts import plain

LONGEST_REASON = 1000

Written = Annotated[str, Field(max_length=512), AfterValidator(plain)]
Named = Annotated[str, Field(min_length=1, max_length=512), AfterValidator(plain)]
"""A subject or a group, byte for byte as the portal sends it."""
Reason = Annotated[
    str, StringConstraints(strip_whitespace=True, min_length=1, max_length=LONGEST_REASON), AfterValidator(plain)
]
"""Why a change is made; kept in the audit."""
MaybeReason = Annotated[str, StringConstraints(max_length=LONGEST_REASON), AfterValidator(plain)]
