"""A tenant's declaration as a form: which fields there are, their texts, and the document that they make."""

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from copy import deepcopy
from dataclasses import dataclass
from typing import Any

from bridge.errors import Mistake
from bridge.evidence import Area
from bridge.guarding import KINDS
from bridge.model import SECRET_HOLDERS, Content, Tenant
from bridge.texts import lines

Document = Mapping[str, Any]
Texts = Mapping[str, str]

PARITY = "parity"
SPARE = 2
"""Empty rows at the end of a list, to be filled."""
ROW = re.compile(r"(parity\.(?:probes|ignores))\.(\d{1,4})\.(\w+)")


@dataclass(frozen=True, slots=True)
class Field:
    """One field. `name` is its path in the document; `kind` says how it is written."""

    name: str
    label: str
    hint: str = ""
    kind: str = "text"
    choices: Sequence[str] = ()


@dataclass(frozen=True, slots=True)
class Group:
    """Fields that belong together."""

    title: str
    fields: Sequence[Field]


@dataclass(frozen=True, slots=True)
class Section:
    """One fieldset; `is_folded`: shown when somebody asks for it, or something is wrong in it."""

    title: str
    hint: str
    groups: Sequence[Group]
    is_folded: bool = False


def _lines(name: str, label: str, hint: str = "") -> Field:
    return Field(name, label, hint or "One a line", "lines")


def _client(name: str, title: str) -> Group:
    return Group(
        title,
        [
            Field(f"{name}.id", "Client id", "Empty: there is none"),
            Field(f"{name}.secret", "Secret", kind="secret"),
            Field(f"{name}.key", "Key file", "Instead of a secret"),
            Field(f"{name}.key_id", "Key id", "With a key file"),
        ],
    )


def _rule(name: str) -> Group:
    where, kind = f"guardrails.{name}", KINDS[name]
    return Group(
        name.replace("_", " "),
        [
            Field(f"{where}.threshold", "Threshold", kind.unit),
            Field(f"{where}.window_s", "Window", "Seconds, 30 to 3600"),
            Field(f"{where}.minimum", "Minimum", f"{kind.sample} before it counts".capitalize()),
            Field(f"{where}.action", "Action", kind="choice", choices=("step_back", "pause", "off")),
        ],
    )


BASIC = Section(
    "Tenant",
    "",
    [
        Group(
            "",
            [
                Field("name", "Name"),
                Field("host", "Host", "https://acme.eu.qlikcloud.com"),
                Field("web_integration_id", "Web integration id", "Legacy pages log in with it; a rollback needs it"),
                Field("embed_script", "Embed script", "What pages load"),
                Field("scope", "Scope", "Of impersonation tokens"),
                Field("own_flags", "Own flags", "true: beside another flag provider", "choice", ("false", "true")),
            ],
        )
    ],
)
FIXED = [
    Section(
        "Who may use it",
        "",
        [
            Group(
                "",
                [
                    _lines("admits", "Admits", "Identity sources or issuers, one a line"),
                    Field("required_group", "Required group", "Empty: none"),
                    _lines("portal_hosts", "Portal hosts", "Where the root routes mean this tenant, one a line"),
                    _lines("allowed_origins", "Allowed origins", "Pages that may call, one a line"),
                ],
            )
        ],
    ),
    Section(
        "Logging people in",
        "The JWT identity provider of browsers; a second one for the bridge's own logins may stay empty.",
        [
            Group(
                "",
                [
                    Field("issuer", "Issuer"),
                    Field("key_id", "Key id"),
                    Field("signing_key", "Signing key", "A file of BRIDGE_KEYS_DIR: qlik-bridge keys new"),
                    Field("sync_max_age_s", "Sync again after", "Seconds, 60 to 2592000"),
                ],
            ),
            Group(
                "The bridge's own logins",
                [
                    Field("sync_issuer", "Issuer"),
                    Field("sync_key_id", "Key id"),
                    Field("sync_key", "Signing key"),
                ],
            ),
        ],
    ),
    Section(
        "OAuth clients",
        "A secret is never shown. Left empty it stays as it is, unless host or client change.",
        [_client("issuing_client", "Issuing client"), _client("management_client", "Management client")],
    ),
    Section(
        "Notices",
        "A webhook that hears what guardrails do. Of its address the host is shown alone; left as it is, it stays.",
        [Group("", [Field("notify.url", "Address"), Field("notify.secret", "Secret", kind="secret")])],
    ),
    Section(
        "Guardrails",
        "What pauses a rollout or steps it back by itself. Empty: as by default.",
        [
            Group("", [_lines("guardrails.stages", "Guarded stages", "rollout, oauth; one a line")]),
            *(_rule(name) for name in KINDS),
        ],
        is_folded=True,
    ),
]
PROOF = Group(
    "",
    [
        Field(f"{PARITY}.subjects_needed", "People to be proven", "Before more people move"),
        Field(f"{PARITY}.fresh_for_s", "A proof counts for", "Seconds"),
        Field(f"{PARITY}.sample_percent", "Compared in shadow", "Percent of sign-ins"),
        Field(f"{PARITY}.max_apps", "Apps opened", "As each person"),
        Field("quiet_days", "Quiet days", "Without the JWT path, before it is safe to retire"),
    ],
)
CONTENT = Section(
    "Content",
    "What the sample pages show.",
    [Group("", [Field(f"content.{name}", name.replace("_", " ").capitalize()) for name in Content.model_fields])],
    is_folded=True,
)


def sections(document: Document, *, is_new: bool = False) -> list[Section]:
    """Return the form for a document: its lists have a row for each entry, and some to fill."""
    slug = Group("", [Field("slug", "Slug", "In our addresses: /t/acme; it never changes")])
    first = Section(BASIC.title, "", [slug, *BASIC.groups]) if is_new else BASIC
    probes = _rows(document, "probes", "Probes: rows to count", ("name", "app_id", "dimension", "measure"))
    ignores = _rows(document, "ignores", "Differences that are known", ("area", "item", "reason"))
    proof = Section("Proof", "What parity looks at. Empty a row to remove it.", [PROOF, *probes, *ignores])
    return [first, *FIXED[:3], proof, *FIXED[3:], CONTENT]


def _rows(document: Document, name: str, title: str, columns: Sequence[str]) -> Iterator[Group]:
    for number in range(len(_at(document, f"{PARITY}.{name}") or ()) + SPARE):
        yield Group("" if number else title, [_cell(f"{PARITY}.{name}.{number}", column, number) for column in columns])


def _cell(where: str, column: str, number: int) -> Field:
    is_area = column == "area"
    label = f"{column.replace('_', ' ').capitalize()} {number + 1}"
    return Field(f"{where}.{column}", label, "", "choice" if is_area else "text", ("", *Area) if is_area else ())


def fields_of(form: Iterable[Section]) -> Iterator[Field]:
    return (field for section in form for group in section.groups for field in group.fields)


def document_of(tenant: Tenant) -> Document:
    """Return a tenant for the form: no secret, and every threshold whether it is the default or not."""
    return {**tenant.shown_document(), "guardrails": tenant.guardrails.model_dump(mode="json")}


def texts_of(document: Document, form: Iterable[Section]) -> dict[str, str]:
    """Return what each field holds; nothing for secrets."""
    found = {field.name: _text(_at(document, field.name)) for field in fields_of(form) if field.kind != "secret"}
    return {name: text for name, text in found.items() if text}


def compacted(sent: Texts) -> dict[str, str]:
    """Return the texts with the rows of lists numbered anew, without those that were emptied."""
    kept = {name: text for name, text in sent.items() if not ROW.fullmatch(name)}
    rows: dict[tuple[str, int], dict[str, str]] = {}
    for name, text in sent.items():
        if (match := ROW.fullmatch(name)) and text.strip():
            rows.setdefault((match[1], int(match[2])), {})[match[3]] = text
    for each in (f"{PARITY}.probes", f"{PARITY}.ignores"):
        filled = [cells for (name, _), cells in sorted(rows.items()) if name == each]
        kept |= {f"{each}.{number}.{cell}": text for number, row in enumerate(filled) for cell, text in row.items()}
    return kept


def changed_by(document: Document, texts: Texts) -> Document:
    """Return the document as the form's texts say; what has no field stays as it was."""
    whole = with_values(document, {f"{PARITY}.{name}": _list(texts, name) for name in ("probes", "ignores")})
    flat = [field for field in fields_of(sections({}, is_new=True)) if not ROW.fullmatch(field.name)]
    sent = {field.name: _value(field, texts.get(field.name, "")) for field in flat if _is_said(field, texts)}
    return _without_empty_parts(with_values(whole, sent))


def with_values(document: Document, values: Mapping[str, Any]) -> dict[str, Any]:
    """Return the document with the value at each path; None takes it out."""
    whole: dict[str, Any] = deepcopy(dict(document))
    for name, value in values.items():
        *path, last = name.split(".")
        part = whole
        for step in path:
            part[step] = part = part[step] if isinstance(part.get(step), dict) else {}
        part[last] = value
        if value is None:
            del part[last]
    return whole


def placed(mistakes: Iterable[Mistake], form: Iterable[Section]) -> tuple[dict[str, str], list[str]]:
    """Return what is wrong by field, and what belongs to none."""
    names = [field.name for field in fields_of(form)]
    at: dict[str, str] = {}
    rest: list[str] = []
    for where, what in mistakes:
        place = where.removeprefix("tenant.")
        name = next((each for each in [*names, "reason"] if _is_about(place, each)), None)
        if name is None:
            rest.append(f"{where}: {what}" if where else what)
        else:
            at[name] = f"{at[name]}; {what}" if name in at else what
    return at, rest


def _is_about(place: str, name: str) -> bool:
    return bool(place) and (f"{place}.".startswith(f"{name}.") or f"{name}.".startswith(f"{place}."))


def _is_said(field: Field, texts: Texts) -> bool:
    """Tell whether a field says something: an empty secret does not, and a slug that was not asked for."""
    return field.name in texts if field.name == "slug" else field.kind != "secret" or bool(texts.get(field.name))


def _value(field: Field, text: str) -> Any:  # noqa: ANN401 - whatever a document holds
    if field.kind == "lines":
        return lines(text)
    return text.strip() or None


def _list(texts: Texts, name: str) -> list[dict[str, str]]:
    rows: dict[int, dict[str, str]] = {}
    for each, text in texts.items():
        if (match := ROW.fullmatch(each)) and match[1] == f"{PARITY}.{name}":
            rows.setdefault(int(match[2]), {})[match[3]] = text.strip()
    return [rows[number] for number in sorted(rows)]


def _without_empty_parts(document: dict[str, Any]) -> Document:
    """Return the document without a client or webhook of which nothing but a secret is left."""
    for name in SECRET_HOLDERS:
        part = document.get(name)
        if isinstance(part, dict) and not part.keys() - {"secret"}:
            document[name] = None
    return document


def _at(document: Document, name: str) -> Any:  # noqa: ANN401 - whatever a document holds
    value: Any = document
    for step in name.split("."):
        if isinstance(value, list):
            value = value[int(step)] if int(step) < len(value) else None
        else:
            value = value.get(step) if isinstance(value, Mapping) else None
    return value


def _text(value: object) -> str:
    if value is None:
        return ""
    if isinstance(value, list | tuple):
        return "\n".join(map(str, value))
    if isinstance(value, bool):
        return str(value).lower()
    return str(int(value)) if isinstance(value, float) and value.is_integer() else str(value)
