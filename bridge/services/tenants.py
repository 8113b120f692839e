"""Tenants as declared in a file: read it, show what would change, change it."""

from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Annotated, Any, TypeVar

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from bridge.errors import ConfigError
from bridge.model import SECRET_HOLDERS, AuditEvent, Cohorts, Rollout, Stage, Tenant, TenantState, Unreadable
from bridge.ports import Clock, SigningKeys, TenantStore
from bridge.services.stages import missing_parts, unusable_key
from bridge.texts import Plain
from bridge.webhooks import ADDRESS, shown_address

M = TypeVar("M", bound=BaseModel)

RESERVED = "new"
SECRET_REFERENCES = ("env:", "file:")


class _Names(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", hide_input_in_errors=True)

    subjects: frozenset[Plain] = frozenset()
    groups: frozenset[Plain] = frozenset()


class RolloutDocument(BaseModel):
    """Stage, percentage and cohorts as people write them."""

    model_config = ConfigDict(frozen=True, extra="forbid", hide_input_in_errors=True)

    stage: Stage = Stage.LEGACY
    percentage: Annotated[float, Field(ge=0, le=100, allow_inf_nan=False)] = 0
    cohorts: _Names = _Names()

    def rollout(self) -> Rollout:
        return Rollout(self.stage, self.percentage, Cohorts(self.cohorts.subjects, self.cohorts.groups))


@dataclass(frozen=True, slots=True)
class Declared:
    """One tenant of the file, with the rollout that it starts at when it is new."""

    tenant: Tenant
    starting_at: Rollout
    names_rollout: bool = True


@dataclass(frozen=True, slots=True)
class Difference:
    """One field that would change; secrets show as `(secret)`."""

    field: str
    before: Any
    after: Any


@dataclass(frozen=True, slots=True)
class Change:
    """What `apply` would do to one tenant; `note` says what it leaves alone although the file differs."""

    declared: Declared
    is_new: bool
    differences: tuple[Difference, ...]
    note: str = ""

    @property
    def is_empty(self) -> bool:
        return not self.is_new and not self.differences


def read_declared(document: Mapping[str, Any], resolve_secret: Callable[[str], str]) -> list[Declared]:
    """Return the tenants of a parsed `tenants.toml`. Raises ConfigError with every mistake.

    *resolve_secret* turns `env:NAME` or `file:PATH` into the secret and raises ValueError where it cannot;
    a secret written into the file itself is refused, because such files end up in git.
    """
    mistakes = [f"`{key}` is not known here; tenants are [[tenants]] tables" for key in document if key != "tenants"]
    entries = document.get("tenants", [])
    if not isinstance(entries, list) or not entries:
        mistakes.append("the file has no [[tenants]] table")
        entries = []
    declared = [
        each for number, entry in enumerate(entries, 1) if (each := _declare(entry, number, resolve_secret, mistakes))
    ]
    mistakes += _clashes(declared)
    if mistakes:
        raise ConfigError(mistakes)
    return declared


def _declare(entry: object, number: int, resolve_secret: Callable[[str], str], mistakes: list[str]) -> Declared | None:
    if not isinstance(entry, Mapping):
        mistakes.append(f"tenant {number}: must be a table")
        return None
    where = f"tenant {entry.get('slug') or number}"
    plan = {key: value for key, value in entry.items() if key in RolloutDocument.model_fields}
    fields = {key: value for key, value in entry.items() if key not in plan}
    before = len(mistakes)
    for holder in SECRET_HOLDERS:
        fields = _with_secret(fields, holder, resolve_secret, where, mistakes)
    rollout = _validated(RolloutDocument, plan, where, mistakes)
    tenant = _validated(Tenant, fields, where, mistakes)
    if len(mistakes) > before or tenant is None or rollout is None:
        return None
    return Declared(tenant, rollout.rollout(), names_rollout=bool(plan))


def _validated(model: type[M], fields: Mapping[str, Any], where: str, mistakes: list[str]) -> M | None:
    try:
        return model.model_validate(fields)
    except ValidationError as error:
        for each in error.errors(include_input=False, include_url=False):
            path = ".".join(str(part) for part in each["loc"])
            mistakes.append(f"{where}: {path + ': ' if path else ''}{each['msg'].removeprefix('Value error, ')}")
        return None


def _with_secret(
    fields: Mapping[str, Any], holder: str, resolve: Callable[[str], str], where: str, mistakes: list[str]
) -> dict[str, Any]:
    whole = dict(fields)
    given = fields.get(holder)
    secret = given.get("secret") if isinstance(given, Mapping) else None
    if secret is None:
        return whole
    resolved = "(unknown secret)"  # stands in, so that the other mistakes of this field are found too
    try:
        resolved = resolve(_checked_reference(secret))
    except ValueError as problem:
        mistakes.append(f"{where}: {holder}.secret: {problem}")
    whole[holder] = {**fields[holder], "secret": resolved}
    return whole


def _checked_reference(secret: object) -> str:
    if not isinstance(secret, str) or not secret.startswith(SECRET_REFERENCES):
        raise ValueError("write env:NAME or file:PATH; a secret itself does not belong in this file")
    return secret


def _clashes(declared: Sequence[Declared]) -> Iterator[str]:
    slugs: set[str] = set()
    hosts: dict[str, str] = {}
    for tenant in (each.tenant for each in declared):
        if tenant.slug in slugs:
            yield f"tenant {tenant.slug}: declared twice"
        slugs.add(tenant.slug)
        for host in tenant.portal_hosts:
            if hosts.setdefault(host, tenant.slug) != tenant.slug:
                yield f"tenant {tenant.slug}: portal host {host} already belongs to {hosts[host]}"


class Tenants:
    """Plan and apply declared tenants. Tenants that the file does not name are left as they are."""

    def __init__(self, store: TenantStore, keys: SigningKeys, clock: Clock, guard: Callable[[Tenant], None]) -> None:
        self._store = store
        self._keys = keys
        self._clock = clock
        self._guard = guard

    def plan(self, declared: Sequence[Declared]) -> list[Change]:
        """Return what `apply` would do.

        Raises ConfigError for what the guard or another tenant forbids, for a key file that is not there, and for a
        new tenant that could not have been moved to the stage where it starts, StoreError.
        """
        known, unreadable = self._store.read()
        for each in declared:
            self._guard(each.tenant)
        named = {each.tenant.slug for each in declared}
        others = [Declared(state.tenant, state.rollout) for slug, state in known.items() if slug not in named]
        mistakes = [
            *_clashes([*others, *declared]),
            *self._bad_starts(declared, {*known, *unreadable}),
            *self._missing_keys(declared, known),
        ]
        if mistakes:
            raise ConfigError(mistakes)
        slugs = [each.tenant.slug for each in declared]
        return [
            _repair(each, unreadable[slug]) if slug in unreadable else _change(each, known.get(slug))
            for slug, each in zip(slugs, declared, strict=True)
        ]

    def _bad_starts(self, declared: Sequence[Declared], known: Collection[str]) -> Iterator[str]:
        """Ask of a new tenant what a stage move would have asked of it, and for a slug that it can have."""
        for each in declared:
            if each.tenant.slug not in known and each.tenant.slug == RESERVED:
                yield f"tenant {RESERVED}: this is an address of the console; choose another slug"
            if each.tenant.slug not in known and each.starting_at.stage is not Stage.LEGACY:
                yield from (f"tenant {each.tenant.slug}: {part}" for part in missing_parts(each.tenant, self._keys))

    def _missing_keys(self, declared: Sequence[Declared], known: Mapping[str, TenantState]) -> Iterator[str]:
        """Ask for each key file that a tenant changes to: without it nobody could sign from then on."""
        for slug, tenant in ((each.tenant.slug, each.tenant) for each in declared if each.tenant.slug in known):
            for name in sorted(set(tenant.key_files()) - set(known[slug].tenant.key_files())):
                yield from (f"tenant {slug}: {problem}" for problem in unusable_key(name, self._keys))

    def apply(
        self,
        changes: Sequence[Change],
        *,
        actor: str,
        reason: str = "tenants apply",
        request_id: str = "",
        seen: int | None = None,
    ) -> None:
        """Do what the plan says. Raises StoreError, and Conflict where a tenant is no longer of revision *seen*."""
        for change in changes:
            if change.is_empty:
                continue
            self._guard(change.declared.tenant)
            event = replace(self._event(change), actor=actor, reason=reason, request_id=request_id)
            tenant, starting_at = change.declared.tenant, change.declared.starting_at
            self._store.save(tenant, starting_at=starting_at, event=event, seen=seen)

    def _event(self, change: Change) -> AuditEvent:
        return AuditEvent(
            at=self._clock(),
            actor="",
            action="tenant.create" if change.is_new else "tenant.change",
            tenant=change.declared.tenant.slug,
            reason="",
            before={each.field: each.before for each in change.differences},
            after={each.field: each.after for each in change.differences},
        )


def _change(declared: Declared, state: TenantState | None) -> Change:
    after = _flat(declared.tenant.public_document())
    if state is None:
        starting = _flat(declared.starting_at.document())
        flat = (after | starting).items()
        return Change(declared, True, tuple(Difference(key, None, _told(key, value)) for key, value in flat))
    before = _flat(state.tenant.public_document())
    fields = [
        _difference(key, before.get(key), after.get(key)) for key in before | after if before.get(key) != after.get(key)
    ]
    old, new = state.tenant.secrets(), declared.tenant.secrets()
    renewed = [
        Difference(f"{key}.secret", "(secret)", "(another secret)")
        for key in new
        if key in old and old[key] != new[key]
    ]
    return Change(declared, False, tuple(fields + renewed), _stage_note(declared, state))


def _repair(declared: Declared, unreadable: Unreadable) -> Change:
    """Replace what nobody can read; the rollout has columns of its own."""
    fields = _flat(declared.tenant.public_document()).items()
    note = f"what is stored cannot be read: {unreadable.problem}; all of it is replaced, the stage stays as it is"
    return Change(declared, False, tuple(Difference(key, None, _told(key, value)) for key, value in fields), note)


def _difference(key: str, before: Any, after: Any) -> Difference:  # noqa: ANN401 - any field of a tenant
    """Say what changes. Two addresses of one host look alike, so it says that they are not."""
    old, new = _told(key, before), _told(key, after)
    return Difference(key, old, f"{new} (another address)" if old == new else new)


def _told(key: str, value: Any) -> Any:  # noqa: ANN401 - as above
    return shown_address(value) if key == ADDRESS and value is not None else value


def _stage_note(declared: Declared, state: TenantState) -> str:
    """Say that a stage in the file is where a new tenant starts, never a move of an old one."""
    if not declared.names_rollout or declared.starting_at.document() == state.rollout.document():
        return ""
    return f"stage stays {state.rollout.stage} at {state.rollout.percentage:g} %; move it with `qlik-bridge stage move`"


def _flat(document: Mapping[str, Any], prefix: str = "") -> dict[str, Any]:
    flat: dict[str, Any] = {}
    for key, value in document.items():
        if isinstance(value, Mapping):
            flat |= _flat(value, f"{prefix}{key}.")
        elif value not in (None, "", [], ()):
            flat[f"{prefix}{key}"] = "(secret)" if key == "secret" else value
    return flat
