"""Change one tenant from a console or an API: secrets are write-only, and nobody's change is lost."""

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from pydantic import ValidationError

from bridge.errors import BadRequest, ConfigError, Mistake, UnknownTenant
from bridge.model import SECRET_HOLDERS, STAND_IN, Rollout, Tenant, TenantState
from bridge.ports import TenantStore
from bridge.services.tenants import SECRET_REFERENCES, Change, Declared, Tenants
from bridge.webhooks import shown_address

CLIENTS = {"issuing_client", "management_client"}
ADDRESSES = ("id", "url")
"""Whose secret it is: the id of a client, the url of a webhook."""
TENANT = "tenant"
"""Where the mistakes of a change are."""
MASK = "**********"
"""How a secret that is set shows; sent back, it means: leave it as it is."""


@dataclass(frozen=True, slots=True)
class Author:
    """Who changes something, why, and in which request."""

    actor: str
    reason: str
    request_id: str = ""


class TenantChanges:
    """Create and replace single tenants."""

    def __init__(self, store: TenantStore, declared: Tenants) -> None:
        self._store = store
        self._declared = declared

    def put(self, slug: str, fields: Mapping[str, Any], *, seen: int, author: Author) -> TenantState:
        """Make the tenant be as *fields* say; the same fields again change nothing.

        *seen* is the revision that the change was made for, 0 for a new tenant. Raises BadRequest with every
        mistake, Conflict when somebody else was first, StoreError.
        """
        change = self.preview(slug, fields)
        self._declared.apply(
            [change], actor=author.actor, reason=author.reason, request_id=author.request_id, seen=seen
        )
        return self._store.get(slug)

    def preview(self, slug: str, fields: Mapping[str, Any]) -> Change:
        """Return what `put` would change. Raises BadRequest with every mistake, StoreError."""
        known = self._known(slug)
        whole, mistakes = _with_kept_secrets(fields, known)
        tenant = _validated(slug, whole, mistakes)
        declared = Declared(tenant, known.rollout if known else Rollout(), names_rollout=False)
        try:
            (change,) = self._declared.plan([declared])
        except ConfigError as error:
            raise BadRequest.listing(("", each) for each in error.mistakes) from None
        return change

    def _known(self, slug: str) -> TenantState | None:
        try:
            return self._store.get(slug)
        except UnknownTenant:
            return None


def _validated(slug: str, fields: Mapping[str, Any], mistakes: Sequence[Mistake]) -> Tenant:
    """Return the tenant. Raises BadRequest with the mistakes known already, and all others."""
    try:
        tenant = Tenant.model_validate_json(json.dumps(fields))
    except ValidationError as error:
        found = error.errors(include_input=False, include_url=False, include_context=False)
        placed = [(".".join(map(str, (TENANT, *each["loc"]))), each["msg"]) for each in found]
        raise BadRequest.listing([*mistakes, *placed]) from None
    if tenant.slug != slug:
        mistakes = [*mistakes, (f"{TENANT}.slug", "differs from the address; a slug never changes")]
    if mistakes:
        raise BadRequest.listing(mistakes)
    return tenant


def _with_kept_secrets(
    fields: Mapping[str, Any], known: TenantState | None
) -> tuple[Mapping[str, Any], Sequence[Mistake]]:
    """Fill in the secrets that were left out, and say which may not be: to another host none goes that was not sent."""
    whole = dict(fields)
    mistakes: list[Mistake] = []
    for name in SECRET_HOLDERS:
        sent = whole.get(name)
        if not isinstance(sent, Mapping):
            continue
        whole[name] = sent = _with_kept_address(sent, known)
        if _stays_locked(name, sent, known):
            mistakes.append((f"tenant.{name}.secret", "is locked: no encryption key opens it, so set it again"))
            whole[name] = {**sent, "secret": STAND_IN}  # so that the other mistakes are found too
        elif sent.get("secret") in (None, MASK):
            mistakes += _mistakes_of_keeping(name, sent, whole, known)
            whole[name] = {**sent, "secret": _kept(name, sent, known)}
        elif str(sent["secret"]).startswith(SECRET_REFERENCES):
            mistakes.append((f"tenant.{name}.secret", "references such as env:NAME are for the command line alone"))
    return whole, mistakes


def _with_kept_address(sent: Mapping[str, Any], known: TenantState | None) -> Mapping[str, Any]:
    """Take a webhook's address as it is shown for the one that is set."""
    notify = known.tenant.notify if known else None
    is_shown = notify is not None and sent.get("url") == shown_address(notify.url)
    return {**sent, "url": notify.url} if notify and is_shown else sent


def _stays_locked(name: str, sent: Mapping[str, Any], known: TenantState | None) -> bool:
    is_locked = known is not None and name in known.tenant.locked()
    return is_locked and not sent.get("key") and sent.get("secret") in (None, MASK, "")


def _kept(name: str, sent: Mapping[str, Any], known: TenantState | None) -> str | None:
    return None if known is None or sent.get("key") else known.tenant.secrets().get(name)


def _mistakes_of_keeping(
    name: str, sent: Mapping[str, Any], fields: Mapping[str, Any], known: TenantState | None
) -> Iterator[Mistake]:
    if _kept(name, sent, known) is None or known is None:
        return
    holder = known.tenant.public_document()[name] or {}
    if fields.get("host") != known.tenant.host and name in CLIENTS:
        yield f"tenant.{name}.secret", "a change of the host needs the secret again"
    elif any(holder.get(each) != sent.get(each) for each in ADDRESSES):
        yield f"tenant.{name}.secret", f"another {'client' if name in CLIENTS else 'address'} needs its own secret"
