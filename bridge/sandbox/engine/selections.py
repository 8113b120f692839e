"""What is selected in a session, field by field."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from bridge.sandbox.engine.rpc import MODAL, RpcError

if TYPE_CHECKING:
    from collections.abc import Collection, Sequence

    from bridge.sandbox.engine.table import Table

Chosen = dict[str, frozenset[int]]
MOST_STEPS = 100


@dataclass
class Selections:
    """The element numbers chosen in each field, how they came about, and the object that is being selected in."""

    table: Table
    chosen: Chosen = field(default_factory=dict)
    locked: set[str] = field(default_factory=set)
    modal: str | None = None
    before_modal: Chosen = field(default_factory=dict)
    past: list[Chosen] = field(default_factory=list)
    future: list[Chosen] = field(default_factory=list)

    def rows(self, ignored: Collection[str] = ()) -> Sequence[int]:
        """Return the rows that the selections leave, as if there were none in the fields to ignore."""
        tests = [
            (self.table.elements[name], wanted)
            for name, wanted in self.chosen.items()
            if name not in ignored and wanted
        ]
        every = range(len(self.table.rows))
        return [row for row in every if all(column[row] in wanted for column, wanted in tests)] if tests else every

    def select(self, name: str, wanted: Collection[int], *, toggle: bool) -> bool:
        """Choose values of a field, or flip them; False where the field is locked or none of the values exists."""
        known = frozenset(wanted) & frozenset(range(len(self.table.symbols[name])))
        if name in self.locked or (wanted and not known):
            return False
        self._put(name, self.chosen.get(name, frozenset()) ^ known if toggle else known)
        return True

    def clear(self, names: Collection[str] | None = None, *, locked_also: bool = False) -> None:
        if locked_also:
            self.locked -= set(self.chosen if names is None else names)
        for name in list(self.chosen if names is None else names):
            if name not in self.locked:
                self._put(name, frozenset())

    def _put(self, name: str, wanted: frozenset[int]) -> None:
        self._remember()
        self.chosen = {other: found for other, found in self.chosen.items() if other != name}
        if wanted:
            self.chosen[name] = wanted

    def _remember(self) -> None:
        if self.modal is None:
            self.past = [*self.past, self.chosen][-MOST_STEPS:]
            self.future = []

    def back(self) -> bool:
        if not self.past:
            return False
        self.future.append(self.chosen)
        self.chosen = self.past.pop()
        return True

    def forward(self) -> bool:
        if not self.future:
            return False
        self.past.append(self.chosen)
        self.chosen = self.future.pop()
        return True

    def begin(self, object_id: str) -> None:
        """Make one object modal: what is chosen from now on can be confirmed or taken back."""
        if self.modal not in (None, object_id):
            raise RpcError(MODAL, "An object is already in modal selection mode")
        if self.modal is None:
            self.modal, self.before_modal = object_id, dict(self.chosen)

    def end(self, *, accept: bool) -> None:
        if self.modal is None:
            return
        after, self.modal = self.chosen, None
        self.chosen = self.before_modal
        if accept and after != self.before_modal:
            self._remember()
            self.chosen = after

    def reset_modal(self) -> None:
        """Take back what was chosen since `begin`, and stay modal."""
        if self.modal is not None:
            self.chosen = dict(self.before_modal)

    def states(self, name: str) -> list[str]:
        """Return each value's state: S(elected), A(lternative), O(ptional), X (excluded), XS, L(ocked)."""
        possible = set(self.table.distinct(name, self.rows({name})))
        wanted = self.chosen.get(name, frozenset())
        chosen, open_ = ("L" if name in self.locked else "S"), ("A" if wanted else "O")
        return [
            (chosen if element in possible else "XS") if element in wanted else (open_ if element in possible else "X")
            for element in range(len(self.table.symbols[name]))
        ]

    def counts(self, name: str) -> dict[str, int]:
        states = self.states(name)
        names = {
            "qLocked": "L",
            "qSelected": "S",
            "qOption": "O",
            "qDeselected": "D",
            "qAlternative": "A",
            "qExcluded": "X",
            "qSelectedExcluded": "XS",
            "qLockedExcluded": "XL",
        }
        return {shown: states.count(state) for shown, state in names.items()}
