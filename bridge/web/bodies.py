"""Parse what callers send; say everything that is wrong with it at once."""

from collections.abc import Mapping
from typing import Any, TypeVar

from flask import request
from pydantic import BaseModel, ValidationError
from pydantic_core import ErrorDetails

from bridge.errors import BadRequest

M = TypeVar("M", bound=BaseModel)


def parsed(model: type[M]) -> M:
    """Return the JSON body as a *model*. Raises BadRequest with every mistake, never with what was sent."""
    try:
        return model.model_validate_json(request.get_data(), strict=True)
    except ValidationError as error:
        raise refusal(error) from None


def parsed_query(model: type[M]) -> M:
    """Return the query as a *model*; a name that comes twice counts once. Raises BadRequest."""
    try:
        return model.model_validate(request.args.to_dict())
    except ValidationError as error:
        raise refusal(error) from None


def parsed_form(model: type[M], fields: Mapping[str, Any]) -> M:
    """Return form fields as a *model*; fields that were left empty count as absent. Raises BadRequest."""
    try:
        return model.model_validate({name: value for name, value in fields.items() if value != ""})
    except ValidationError as error:
        raise refusal(error) from None


def refusal(error: ValidationError) -> BadRequest:
    """Return what tells a caller every mistake, and nothing of what they sent."""
    mistakes = error.errors(include_input=False, include_url=False, include_context=False)
    return BadRequest.listing((_place(each), each["msg"]) for each in mistakes)


def _place(mistake: ErrorDetails) -> str:
    """Return where a mistake is, in the caller's words: of a choice of two forms pydantic names the type, too."""
    is_theirs = mistake["type"] == "extra_forbidden"  # then the name is what they wrote, whatever it looks like
    return ".".join(
        str(each) for each in mistake["loc"] if is_theirs or str(each).isidentifier() or str(each).isdigit()
    )
