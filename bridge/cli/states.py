"""How commands show the stage of tenants."""

from collections.abc import Sequence
from typing import Any

from bridge.cli.common import print_json, print_table
from bridge.model import TenantState

COLUMNS = ["tenant", "stage", "percent", "subjects first", "groups first", "ramp", "kill switch"]


def print_state(state: TenantState, *, as_json: bool) -> None:
    if as_json:
        print_json(_document(state))
    else:
        _print_table([state])


def print_states(states: Sequence[TenantState], *, as_json: bool) -> None:
    if as_json:
        print_json([_document(state) for state in states])
    else:
        _print_table(states)


def _document(state: TenantState) -> dict[str, Any]:
    return {"slug": state.tenant.slug, **state.rollout_document()}


def _print_table(states: Sequence[TenantState]) -> None:
    print_table(COLUMNS, [_row(state) for state in states])


def _row(state: TenantState) -> list[str]:
    shown = _document(state)
    cohorts = [", ".join(names) for names in shown["cohorts"].values()]
    return [
        shown["slug"],
        shown["stage"],
        f"{shown['percent']:g}",
        *cohorts,
        _ramp(shown["ramp"]),
        _kill(shown["kill"]),
    ]


def _ramp(document: dict[str, Any] | None) -> str:
    if document is None:
        return ""
    if document["pause"]:
        return f"{document['text']}; paused by {_whom(document['pause'])}"
    if document["wait"]:
        return f"{document['text']}; waits since {document['wait']['since']}: {document['wait']['reason']}"
    return f"{document['text']}; next step at {document['next_at']}"


def _kill(document: dict[str, Any] | None) -> str:
    if document is None:
        return ""
    return f"on{' for all' if document['everywhere'] else ''} by {_whom(document)}"


def _whom(document: dict[str, Any]) -> str:
    """Return who did it, and why where they said so."""
    return f"{document['actor']}: {document['reason']}" if document["reason"] else str(document["actor"])
