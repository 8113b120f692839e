"""Whom to compare: `people.csv`, and what the bridge knows already of the people in it."""

import csv
import io
import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

from bridge.errors import BadRequest, ConfigError
from bridge.model import Identity, Subject, SubjectRecord
from bridge.ports import Clock, SubjectStore
from bridge.texts import checked_text

FACTS = ("name", "email", "groups", "as_of")
COLUMNS = ("sub", *FACTS)
SOURCE = "people.csv"
NOBODY = "nobody of this subject ever signed in here; give name, email, groups and as_of"
STRANGER = (
    "Nobody of this subject ever signed in at this tenant, so there is nothing to compare. Ask them to sign in, or"
    " compare them by `qlik-bridge parity` with a people.csv that says their groups."
)
KNOWN = "known"
OUTDATED = "the file's facts are older than what the portal said since, and differ from it"


@dataclass(frozen=True, slots=True)
class Row:
    """One line of people.csv: a subject alone, or with the portal's facts and when they were true (unix seconds)."""

    sub: str
    facts: Subject | None = None
    as_of: float = 0


@dataclass(frozen=True, slots=True)
class LeftOut:
    """Somebody who was not compared, and why; `is_upstream` where the tenant gave no answer."""

    sub: str
    why: str
    is_upstream: bool = False


def read_people(text: str, *, now: float) -> Sequence[Row]:
    """Return the rows of a people.csv. Raises ConfigError with every mistake, by line."""
    reader = csv.DictReader(io.StringIO(text.removeprefix("\ufeff")))
    names = [name.strip() for name in reader.fieldnames or []]
    reader.fieldnames = names
    known = ", ".join(COLUMNS)
    mistakes = [f"people.csv: unknown column `{name}`; there are: {known}" for name in names if name not in COLUMNS]
    mistakes += [f"people.csv: column `{name}` is there twice" for name in COLUMNS if names.count(name) > 1]
    if any(mark in name for name in names for mark in ";\t"):
        mistakes = ["people.csv: put commas between columns; there are semicolons or tabs"]
    elif "sub" not in names:
        mistakes.append("people.csv: the first line must name the columns, `sub` among them")
    rows: dict[str, Row] = {}
    for line, entry in enumerate([] if mistakes else reader, 2):
        try:
            row = _row(entry, now)
            if rows.setdefault(row.sub, row) is not row:
                mistakes.append(f"people.csv line {line}: {row.sub} is there twice")
        except ValueError as mistake:
            mistakes.append(f"people.csv line {line}: {mistake}")
    if mistakes:
        raise ConfigError(mistakes)
    return list(rows.values())


def _row(entry: Mapping[str | None, str | list[str] | None], now: float) -> Row:
    if None in entry:
        raise ValueError("more cells than columns; quote a cell that holds a comma")
    cells = {name: (entry.get(name) or "") for name in COLUMNS}
    texts = {name: cell for name, cell in cells.items() if isinstance(cell, str)}
    if not texts["sub"].strip():
        raise ValueError("`sub` is empty")
    for name, text in texts.items():
        checked_text(text, f"`{name}`")
    if not any(texts[name].strip() for name in FACTS):
        return Row(texts["sub"])
    if not texts["name"].strip() or not texts["as_of"].strip():
        raise ValueError("facts need `name` and `as_of`: when was this true?")
    facts = Subject(texts["sub"], texts["name"].strip(), texts["email"].strip(), _groups(texts["groups"].strip()))
    return Row(texts["sub"], facts, _moment(texts["as_of"].strip(), now))


def _groups(text: str) -> frozenset[str]:
    """Read names with `;` between them, or a JSON list where a name holds one."""
    if not text.startswith("["):
        return frozenset(name.strip() for name in text.split(";") if name.strip())
    try:
        names = json.loads(text)
    except ValueError:
        names = None
    if not isinstance(names, list) or not all(isinstance(name, str) and name for name in names):
        raise ValueError("`groups` is no JSON list of names")
    return frozenset(checked_text(name, "`groups`") for name in names)


def _moment(text: str, now: float) -> float:
    """Return unix seconds. The future would lock out what people's next sign-in says."""
    try:
        moment = float(text)
    except ValueError:
        try:
            parsed = datetime.fromisoformat(text)
        except ValueError:
            raise ValueError("`as_of` must be ISO 8601 with a time zone, or unix seconds") from None
        if parsed.tzinfo is None:
            raise ValueError("`as_of` needs a time zone, such as 2026-11-21T08:00:00Z") from None
        moment = parsed.timestamp()
    if not 0 < moment <= now:
        raise ValueError("`as_of` lies in the future")
    return moment


class Roster:
    """Hold people.csv against what portals said: older facts never take the place of newer ones."""

    def __init__(self, subjects: SubjectStore, clock: Clock) -> None:
        self._subjects = subjects
        self._clock = clock

    def read(self, slug: str, text: str) -> tuple[Sequence[Identity], Sequence[LeftOut]]:
        """Return whom to compare, and whom not. Raises ConfigError for a file with mistakes, StoreError."""
        found = list(self._judged(slug, read_people(text, now=self._clock())))
        return (
            [each for each in found if isinstance(each, Identity)],
            [each for each in found if isinstance(each, LeftOut)],
        )

    def known(self, slug: str, sub: str) -> Identity:
        """Return somebody as their portal described them last. Raises BadRequest for a stranger, StoreError."""
        record = self._subjects.get(slug, sub, fresh=True)
        if record is None:
            raise BadRequest(STRANGER)
        return Identity(record.subject, KNOWN, "", record.asserted_at)

    def _judged(self, slug: str, rows: Sequence[Row]) -> Iterator[Identity | LeftOut]:
        for row in rows:
            yield _judged(row, self._subjects.get(slug, row.sub, fresh=True))


def _judged(row: Row, known: SubjectRecord | None) -> Identity | LeftOut:
    if row.facts is not None and (known is None or row.as_of > known.asserted_at):
        return Identity(row.facts, SOURCE, "", row.as_of)
    if known is None:
        return LeftOut(row.sub, NOBODY)
    if row.facts in {None, known.subject}:
        return Identity(known.subject, SOURCE, "", known.asserted_at)
    return LeftOut(row.sub, OUTDATED)
