"""Look at all that one person has in a tenant, by one credential."""

import hashlib
import hmac
from collections.abc import Callable, Mapping
from itertools import islice
from typing import TypeVar

from bridge.errors import TenantError, TenantThrottled
from bridge.evidence import Access, Area, Baseline, Credential, OpenedApp, Wanted
from bridge.model import Tenant
from bridge.ports import AccessReader

T = TypeVar("T")

SALT_ID_LENGTH = 12


class Looks:
    """Looks at the same things by either credential, and salts what it hashes with a key of the tenant's own."""

    def __init__(self, reader: AccessReader, secret: bytes) -> None:
        self._reader = reader
        self._secret = secret

    def by_jwt(self, tenant: Tenant, legacy_jwt: str) -> Access:
        """Return what the JWT session of this person has. Raises a TenantError."""
        return look(self._reader, tenant, self._reader.session(tenant, legacy_jwt), self._wanted(tenant, None))

    def by_token(self, tenant: Tenant, value: str, baseline: Baseline | None) -> Access:
        """Return what an impersonation token gives, in every app of the baseline too. Raises a TenantError."""
        credential = Credential({"Authorization": f"Bearer {value}"})
        return look(self._reader, tenant, credential, self._wanted(tenant, baseline))

    def salt_id(self, tenant: Tenant) -> str:
        """Name the salt without revealing it."""
        return hashlib.sha256(self._salt(tenant)).hexdigest()[:SALT_ID_LENGTH]

    def _wanted(self, tenant: Tenant, baseline: Baseline | None) -> Wanted:
        named = [*(probe.app_id for probe in tenant.parity.probes), tenant.content.app_id]
        opened = baseline.access.opened if baseline else ()
        apps = list(dict.fromkeys(filter(None, [*named, *opened])))
        return Wanted(tenant.parity.probes, apps, tenant.parity.max_apps, self._salt(tenant))

    def _salt(self, tenant: Tenant) -> bytes:
        return hmac.new(self._secret, f"parity\0{tenant.slug}".encode(), hashlib.sha256).digest()


def look(reader: AccessReader, tenant: Tenant, credential: Credential, wanted: Wanted) -> Access:
    """Return what there is, with what could not be read. Raises a TenantError when nobody is behind the credential.

    TenantThrottled goes through wherever it comes from: half an answer helps nobody who may ask again soon.
    """
    problems: dict[Area, str] = {}
    holder = reader.holder(tenant, credential)
    spaces = _tried(Area.SPACES, problems, lambda: reader.spaces(tenant, credential))
    apps = _tried(Area.APPS, problems, lambda: reader.apps(tenant, credential))
    opened = {app_id: _open(reader, tenant, credential, app_id, wanted) for app_id in _chosen(apps, wanted)}
    return Access(holder, spaces, apps, opened, problems)


def _tried(area: Area, problems: dict[Area, str], read: Callable[[], Mapping[str, str]]) -> Mapping[str, str]:
    try:
        return read()
    except TenantThrottled:
        raise
    except TenantError as failure:
        problems[area] = failure.code()
        return {}


def _open(reader: AccessReader, tenant: Tenant, credential: Credential, app_id: str, wanted: Wanted) -> OpenedApp:
    try:
        return reader.opened(tenant, credential, app_id, wanted)
    except TenantThrottled:
        raise
    except TenantError as failure:
        return OpenedApp(problem=failure.code())


def _chosen(apps: Mapping[str, str], wanted: Wanted) -> list[str]:
    """Return the apps to open: those that are asked for, then others by name as long as there is room."""
    others = sorted((app_id for app_id in apps if app_id not in wanted.apps), key=lambda app_id: (apps[app_id], app_id))
    return [*wanted.apps, *islice(others, max(0, wanted.max_apps - len(wanted.apps)))]
