"""What one operation of the API takes and answers, written beside its view and read by the OpenAPI document."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, TypeVar

from pydantic import BaseModel

from bridge import errors
from bridge.roles import Role

V = TypeVar("V", bound=Callable[..., Any])

ATTRIBUTE = "operation"
OK = 200


@dataclass(frozen=True, slots=True)
class Operation:
    """One operation. `role` None: open to everybody. `raises` are the refusals that it has beyond the usual ones."""

    summary: str
    answer: type[BaseModel] | None = None
    status: int = OK
    body: type[BaseModel] | None = None
    query: type[BaseModel] | None = None
    role: Role | None = Role.VIEWER
    answers_etag: bool = False
    takes_if_match: bool = False
    raises: tuple[type[errors.BridgeError], ...] = ()
    media_type: str = "application/json"


def described(summary: str, **facts: Any) -> Callable[[V], V]:  # noqa: ANN401 - the fields of Operation
    """Keep an Operation with the view."""

    def keep(view: V) -> V:
        setattr(view, ATTRIBUTE, Operation(summary, **facts))
        return view

    return keep


def refusals(operation: Operation, *, has_slug: bool, has_path: bool) -> list[type[errors.BridgeError]]:
    """Return every error that the operation may answer with."""
    found = [*operation.raises, errors.StoreError]
    if operation.role is not None:
        found += [errors.NotSignedIn, errors.NotAllowed, errors.TooMany]
    if has_slug:
        found += [errors.UnknownTenant]
    if operation.body or operation.query or has_path:
        found += [errors.BadRequest]
    if operation.body:
        found += [errors.BadCsrf, errors.TooLarge]
    if operation.takes_if_match:
        found += [errors.Conflict]
    return list(dict.fromkeys(found))
