"""An app: its data, who may see which rows, and the objects stored in it."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator, Mapping

    from bridge.sandbox.engine.rpc import Json
    from bridge.sandbox.engine.table import Row, Table

ANY = "*"


@dataclass(frozen=True)
class Rule:
    """One line of Section Access: members of `group` see the rows whose `field` is `value`; `*` is any."""

    group: str
    field: str
    value: str

    def shows(self, row: Row) -> bool:
        return self.value in (ANY, row[self.field])


@dataclass(frozen=True)
class Stored:
    """An object of the app. Without an owner it is published, else it is there for its owner (a subject) alone."""

    properties: Json
    owner: str | None = None

    @property
    def id(self) -> str:
        return str(self.properties["qInfo"]["qId"])

    @property
    def type(self) -> str:
        return str(self.properties["qInfo"]["qType"])


@dataclass(frozen=True)
class App:
    """What a tenant stores. Sessions reduce the table and never change anything here."""

    id: str
    name: str
    table: Table
    objects: Mapping[str, Stored]
    dimensions: Mapping[str, Stored] = field(default_factory=dict)
    measures: Mapping[str, Stored] = field(default_factory=dict)
    section_access: tuple[Rule, ...] = ()

    def rows_for(self, groups: Collection[str]) -> Table | None:
        """Return what members of the groups see together; None where Section Access lets them see nothing."""
        if not self.section_access:
            return self.table
        rules = [rule for rule in self.section_access if rule.group == ANY or rule.group in groups]
        if not rules:
            return None
        return self.table.only(lambda row: any(rule.shows(row) for rule in rules))

    def find(self, object_id: str, subject: str) -> Stored | None:
        """Return a stored object of any kind that the subject may see."""
        for kind in (self.objects, self.dimensions, self.measures):
            if (found := kind.get(object_id)) and found.owner in (None, subject):
                return found
        return None

    def seen_by(self, subject: str) -> Iterator[Stored]:
        return (stored for stored in self.objects.values() if stored.owner in (None, subject))
