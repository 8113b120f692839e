"""Who and what a tenant knows already, read by its management client."""

from collections.abc import Mapping
from typing import Any
from urllib.parse import quote

from bridge.adapters.qlik_answers import document
from bridge.adapters.qlik_management import ManagementClient
from bridge.adapters.reach import ANYWHERE, Reach
from bridge.adapters.wire import Patience
from bridge.errors import TenantGarbled, TenantRefused
from bridge.licences import Allotment, Licences
from bridge.model import Tenant
from bridge.ports import Clock, SigningKeys

USERS, GROUPS = "/api/v1/users", "/api/v1/groups"
LICENCE_SETTINGS, LICENCES = "/api/v1/licenses/settings", "/api/v1/licenses/overview"


class HttpDirectory:
    """Implements ports.watching.Directory."""

    def __init__(
        self, keys: SigningKeys, clock: Clock, *, patience: Patience | None = None, reach: Reach = ANYWHERE
    ) -> None:
        self._management = ManagementClient(keys, clock, patience or Patience(), reach)

    def user_status(self, tenant: Tenant, sub: str) -> str | None:
        """Ask for one user (Qlik: GET /api/v1/users, filter on subject, which ignores case: we do not)."""
        found = self._named(tenant, USERS, "subject", sub)
        return None if found is None else _text(USERS, found, "status")

    def group_kind(self, tenant: Tenant, name: str) -> str | None:
        """Ask for one group (Qlik: GET /api/v1/groups, filter on name)."""
        found = self._named(tenant, GROUPS, "name", name)
        return None if found is None else _text(GROUPS, found, "providerType")

    def licences(self, tenant: Tenant) -> Licences:
        """Ask for what is assigned by itself, and what is taken (Qlik: GET /licenses/settings, /licenses/overview)."""
        settings = self._if_told(tenant, LICENCE_SETTINGS)
        overview = self._if_told(tenant, LICENCES).get("allotments")
        allotments = overview if isinstance(overview, list) else []
        return Licences(
            analyzer_by_itself=_flag(settings.get("autoAssignAnalyzer")),
            professional_by_itself=_flag(settings.get("autoAssignProfessional")),
            allotments=tuple(each for each in map(_allotment, allotments) if each),
        )

    def _named(self, tenant: Tenant, path: str, attribute: str, value: str) -> Mapping[str, Any] | None:
        literal = value.replace("\\", "\\\\").replace('"', '\\"')
        question = quote(f'{attribute} eq "{literal}"', safe="")
        listed = document(path, self._management.get(tenant, f"{path}?limit=100&filter={question}")).get("data")
        if not isinstance(listed, list) or not all(isinstance(each, dict) for each in listed):
            raise TenantGarbled(detail=f"{path}: no list")
        return next((each for each in listed if each.get(attribute) == value), None)

    def _if_told(self, tenant: Tenant, path: str) -> Mapping[str, Any]:
        """Return what the tenant says, or nothing where it does not let us ask."""
        try:
            return document(path, self._management.get(tenant, path))
        except (TenantRefused, TenantGarbled):
            return {}


def _text(path: str, found: Mapping[str, Any], name: str) -> str:
    value = found.get(name)
    if not isinstance(value, str):
        raise TenantGarbled(detail=f"{path}: no {name}")
    return value


def _flag(value: object) -> bool | None:
    return value if isinstance(value, bool) else None


def _allotment(entry: object) -> Allotment | None:
    if not isinstance(entry, dict) or not isinstance(entry.get("name"), str):
        return None
    units, used = entry.get("units"), entry.get("unitsUsed")
    if not isinstance(units, int | float) or not isinstance(used, int | float):
        return None
    return Allotment(entry["name"], int(units), int(used))
