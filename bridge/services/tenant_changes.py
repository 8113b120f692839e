"""Change one tenant from a console or an API: secrets are write-only, and nobody's change is lost."""

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from pydantic import ValidationError

from bridge.errors import BadRequest, ConfigError, UnknownTenant
from bridge.model import SECRET_HOLDERS, Rollout, Tenant, TenantState
from bridge.ports import TenantStore
from bridge.services.tenants import SECRET_REFERENCES, Declared, Tenants
from bridge.webhooks import shown_address

CLIENTS = {"issuing_client", "management_client"}
ADDRESSES = ("id", "url")
"""Whose secret it is: the id of a client, the url of a webhook."""
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
        known = self._known(slug)
        tenant = _validated(slug, _with_kept_secrets(fields, known))
        declared = Declared(tenant, known.rollout if known else Rollout(), names_rollout=False)
        try:
            changes = self._declared.plan([declared])
        except ConfigError as error:
            raise BadRequest(f"The request is not valid: {'; '.join(error.mistakes)}.") from None
        self._declared.apply(changes, actor=author.actor, reason=author.reason, request_id=author.request_id, seen=seen)
        return self._store.get(slug)

    def _known(self, slug: str) -> TenantState | None:
        try:
            return self._store.get(slug)
        except UnknownTenant:
            return None


def _validated(slug: str, fields: Mapping[str, Any]) -> Tenant:
    try:
        tenant = Tenant.model_validate_json(json.dumps(fields))
    except ValidationError as error:
        mistakes = error.errors(include_input=False, include_url=False, include_context=False)
        listed = "; ".join(f"tenant.{'.'.join(map(str, each['loc']))}: {each['msg']}" for each in mistakes)
        raise BadRequest(f"The request is not valid: {listed}.") from None
    if tenant.slug != slug:
        raise BadRequest("The request is not valid: tenant.slug: differs from the address; a slug never changes.")
    return tenant


def _with_kept_secrets(fields: Mapping[str, Any], known: TenantState | None) -> dict[str, Any]:
    """Fill in the secrets that were left out; to another host none goes that was not sent with the change."""
    whole = dict(fields)
    mistakes: list[str] = []
    for name in SECRET_HOLDERS:
        sent = whole.get(name)
        if not isinstance(sent, Mapping):
            continue
        whole[name] = sent = _with_kept_address(sent, known)
        if sent.get("secret") in (None, MASK):
            mistakes += _mistakes_of_keeping(name, sent, whole, known)
            whole[name] = {**sent, "secret": _kept(name, sent, known)}
        elif str(sent["secret"]).startswith(SECRET_REFERENCES):
            mistakes.append(f"tenant.{name}.secret: references such as env:NAME are for the command line alone")
    if mistakes:
        raise BadRequest(f"The request is not valid: {'; '.join(mistakes)}.")
    return whole


def _with_kept_address(sent: Mapping[str, Any], known: TenantState | None) -> Mapping[str, Any]:
    """Take a webhook's address as it is shown for the one that is set."""
    notify = known.tenant.notify if known else None
    is_shown = notify is not None and sent.get("url") == shown_address(notify.url)
    return {**sent, "url": notify.url} if notify and is_shown else sent


def _kept(name: str, sent: Mapping[str, Any], known: TenantState | None) -> str | None:
    return None if known is None or sent.get("key") else known.tenant.secrets().get(name)


def _mistakes_of_keeping(
    name: str, sent: Mapping[str, Any], fields: Mapping[str, Any], known: TenantState | None
) -> Iterator[str]:
    if _kept(name, sent, known) is None or known is None:
        return
    holder = known.tenant.public_document()[name] or {}
    if fields.get("host") != known.tenant.host and name in CLIENTS:
        yield f"tenant.{name}.secret: a change of the host needs the secret again"
    elif any(holder.get(each) != sent.get(each) for each in ADDRESSES):
        yield f"tenant.{name}.secret: another {'client' if name in CLIENTS else 'address'} needs its own secret"
