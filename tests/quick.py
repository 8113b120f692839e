"""What is worked out once a process, though each test has an application of its own: the suite's time went there.

Both are functions of what is in their keys alone, so that every test gets what it would have got.
"""

from collections.abc import Callable, Hashable
from functools import wraps
from typing import Any

from jinja2 import Environment
from werkzeug.routing import Rule


def remember_what_applications_compile() -> None:
    """Compile each route, and each template file, once."""
    _remember(Rule, "_compile_builder", _of_route)
    _remember(Environment, "compile", _of_template)


def _of_route(rule: Rule, append_unknown: bool = True) -> Hashable:  # noqa: FBT001, FBT002 - as in werkzeug
    return None if rule.defaults else (rule.rule, tuple(rule._trace), append_unknown)


def _of_template(
    own: Environment,
    source: str,
    name: str | None = None,
    filename: str | None = None,
    *rest: bool,
) -> Hashable:
    options = (own.trim_blocks, own.lstrip_blocks, own.is_async, tuple(own.filters), tuple(own.extensions))
    return (source, name, filename, options, rest) if filename else None


def _remember(owner: type, name: str, key: Callable[..., Hashable]) -> None:
    """Keep what a method returns, by a key that says all that it depends on; None says that nothing is kept."""
    work, known = getattr(owner, name), dict[Hashable, Any]()

    @wraps(work)
    def remembered(*arguments: Any, **named: Any) -> Any:  # noqa: ANN401 - as the method has it
        if (of := key(*arguments, **named)) is None:
            return work(*arguments, **named)
        if of not in known:
            known[of] = work(*arguments, **named)
        return known[of]

    setattr(owner, name, remembered)
