"""Parse what callers send; say everything that is wrong with it at once."""

from collections.abc import Mapping
from typing import Any, TypeVar

from flask import request
from pydantic import BaseModel, ValidationError

from bridge.errors import BadRequest

M = TypeVar("M", bound=BaseModel)


def parsed(model: type[M]) -> M:
    """Return the JSON body as a *model*. Raises BadRequest with every mistake, never with what was sent."""
    try:
        return model.model_validate_json(request.get_data(), strict=True)
    except ValidationError as error:
        raise _refusal(error) from None


def parsed_query(model: type[M]) -> M:
    """Return the query as a *model*; a name that comes twice counts once. Raises BadRequest."""
    try:
        return model.model_validate(request.args.to_dict())
    except ValidationError as error:
        raise _refusal(error) from None


def parsed_form(model: type[M], fields: Mapping[str, Any]) -> M:
    """Return form fields as a *model*; fields that were left empty count as absent. Raises BadRequest."""
    try:
        return model.model_validate({name: value for name, value in fields.items() if value != ""})
    except ValidationError as error:
        raise _refusal(error) from None


def _refusal(error: ValidationError) -> BadRequest:
    mistakes = error.errors(include_input=False, include_url=False, include_context=False)
    return BadRequest.listing((".".join(map(str, each["loc"])), each["msg"]) for each in mistakes)
