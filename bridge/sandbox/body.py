"""Request bodies: JSON objects, JSON lists, and forms with the same fields."""

from __future__ import annotations

import json
from typing import Any

from flask import request

from bridge.sandbox.errors import ApiError

Fields = dict[str, Any]


def bad_request(detail: str, code: str = "HTTP-400") -> ApiError:
    return ApiError(400, code, "Bad request", detail)


def fields() -> Fields:
    """Return the JSON object in the body."""
    value = _json()
    if not isinstance(value, dict):
        raise bad_request("The body must be a JSON object")
    return value


def operations() -> list[Fields]:
    """Return the JSON patch in the body: a list of objects that is not empty."""
    value = _json()
    if not isinstance(value, list) or not value or not all(isinstance(entry, dict) for entry in value):
        raise bad_request("The body must be a list of operations")
    return value


def fields_or_form() -> Fields:
    """Return a form's fields, or the JSON object: OAuth endpoints take both."""
    if request.mimetype == "application/x-www-form-urlencoded":
        return dict(request.form.items())
    return fields()


def text(given: Fields, name: str, *, required: bool = False, longest: int = 256) -> str:
    value = given.get(name)
    if value is None and not required:
        return ""
    if not isinstance(value, str) or not value or len(value) > longest:
        raise bad_request(f"{name} must be a string of 1 to {longest} characters")
    return value


def _json() -> Any:  # noqa: ANN401 - JSON is anything until it is checked
    try:
        return json.loads(request.get_data() or b"null")
    except (ValueError, RecursionError):
        raise bad_request("The body is not JSON") from None
