"""How a tenant is set up, read by its management client (Qlik: all of these need TenantAdmin and admin_classic)."""

from collections.abc import Iterator, Sequence
from typing import Any
from urllib.parse import quote, urlsplit

from bridge.adapters.qlik_answers import clock_ahead_s, document, require_success
from bridge.adapters.qlik_management import ManagementClient
from bridge.adapters.qlik_setup_answers import client_facts, csp_entry, group_settings, jwt_provider, texts
from bridge.adapters.reach import ANYWHERE, Reach
from bridge.adapters.wire import Patience, Wire
from bridge.diagnosis import ClientFacts, CspEntry, Greeting, GroupSettings, JwtProvider
from bridge.errors import TenantGarbled, TenantRefused
from bridge.model import Tenant
from bridge.ports import Clock, SigningKeys

METADATA = "/.well-known/oauth-authorization-server"
PROVIDERS = "/api/v1/identity-providers"
CLIENTS = "/api/v1/oauth-clients"
INTEGRATIONS = "/api/v1/web-integrations"
CSP_ORIGINS = "/api/v1/csp-origins"
GROUP_SETTINGS = "/api/v1/groups/settings"
MAX_PAGES = 20
NOT_FOUND = 404


class HttpTenantSetUp:
    """Implements ports.TenantSetUp."""

    def __init__(
        self, keys: SigningKeys, clock: Clock, *, patience: Patience | None = None, reach: Reach = ANYWHERE
    ) -> None:
        self._wire = Wire(patience, reach)
        self._clock = clock
        self._management = ManagementClient(keys, clock, self._wire.patience, reach)

    def greet(self, tenant: Tenant) -> Greeting:
        """Ask what anybody may ask (Qlik: GET /.well-known/oauth-authorization-server)."""
        answer = self._wire.send("GET", f"{tenant.host}{METADATA}")
        now = self._clock()
        require_success(METADATA, answer, now)
        if not isinstance(document(METADATA, answer).get("token_endpoint"), str):
            raise TenantGarbled(detail=f"{METADATA}: no token_endpoint")
        return Greeting(clock_ahead_s(answer, now))

    def sign_in(self, tenant: Tenant) -> None:
        """Get a fresh token for the management client: an old one could outlive a secret."""
        self._management.renew(tenant)

    def providers(self, tenant: Tenant) -> Sequence[JwtProvider]:
        """Read the JWT identity providers (Qlik: GET /api/v1/identity-providers)."""
        listed = self._all(tenant, PROVIDERS)
        return [jwt_provider(each) for each in listed if each.get("protocol") == "jwtAuth"]

    def client(self, tenant: Tenant, client_id: str) -> ClientFacts | None:
        """Read one client (Qlik: GET /api/v1/oauth-clients/{id})."""
        found = self._one(tenant, f"{CLIENTS}/{quote(client_id, safe='')}")
        return client_facts(found) if found is not None else None

    def groups(self, tenant: Tenant) -> GroupSettings:
        """Read the settings (Qlik: GET /api/v1/groups/settings)."""
        return group_settings(document(GROUP_SETTINGS, self._management.get(tenant, GROUP_SETTINGS)))

    def web_integration(self, tenant: Tenant, integration_id: str) -> frozenset[str] | None:
        """Read the origins of one web integration (Qlik: GET /api/v1/web-integrations/{id})."""
        found = self._one(tenant, f"{INTEGRATIONS}/{quote(integration_id, safe='')}")
        return texts(INTEGRATIONS, found, "validOrigins") if found is not None else None

    def csp(self, tenant: Tenant) -> Sequence[CspEntry]:
        """Read the CSP origins (Qlik: GET /api/v1/csp-origins)."""
        return [csp_entry(each) for each in self._all(tenant, CSP_ORIGINS)]

    def _one(self, tenant: Tenant, path: str) -> dict[str, Any] | None:
        try:
            return dict(document(path, self._management.get(tenant, path)))
        except TenantRefused as refusal:
            if refusal.status == NOT_FOUND:
                return None
            raise

    def _all(self, tenant: Tenant, path: str) -> Iterator[dict[str, Any]]:
        """Yield the entries of every page. Raises TenantGarbled for a list without end."""
        following = f"{path}?limit=100"
        for _ in range(MAX_PAGES):
            page = document(path, self._management.get(tenant, following))
            entries = page.get("data")
            if not isinstance(entries, list) or not all(isinstance(each, dict) for each in entries):
                raise TenantGarbled(detail=f"{path}: no list of entries")
            yield from entries
            following = _next(path, page.get("links"))
            if not following:
                return
        raise TenantGarbled(detail=f"{path}: more than {MAX_PAGES} pages")


def _next(path: str, links: object) -> str:
    """Return the path and query of the next page, empty after the last one; the host stays the tenant's."""
    link = links.get("next") if isinstance(links, dict) else None
    href = link.get("href") if isinstance(link, dict) else None
    if not isinstance(href, str) or not href:
        return ""
    query = urlsplit(href).query
    return f"{path}?{query}"
