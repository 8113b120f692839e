"""A tenant's set-up in memory, right at first, for the doctor to examine."""

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, field

from fakes import FakeKeys

from bridge.diagnosis import (
    ClientFacts,
    ClientSecret,
    CspEntry,
    Greeting,
    GroupSettings,
    JwtProvider,
    key_fingerprint,
)
from bridge.errors import TenantGarbled
from bridge.model import Tenant

IMPERSONATION = "urn:qlik:oauth:user-impersonation"
DAY_S = 86_400


@dataclass
class FakeSetUp:
    """What one tenant's administrator reads. `fail["csp"] = [error, ...]` raises each error once, in order."""

    greeting: Greeting = field(default_factory=lambda: Greeting(0.0))
    jwt: list[JwtProvider] = field(default_factory=list)
    clients: dict[str, ClientFacts] = field(default_factory=dict)
    settings: GroupSettings = field(default_factory=lambda: GroupSettings(auto_create=True, sync_idp=True))
    integrations: dict[str, frozenset[str]] = field(default_factory=dict)
    csp_entries: list[CspEntry] = field(default_factory=list)
    calls: list[str] = field(default_factory=list)
    fail: defaultdict[str, list[Exception]] = field(default_factory=lambda: defaultdict(list))

    def greet(self, tenant: Tenant) -> Greeting:
        self._called("greet", tenant)
        return self.greeting

    def sign_in(self, tenant: Tenant) -> None:
        self._called("sign_in", tenant)

    def providers(self, tenant: Tenant) -> Sequence[JwtProvider]:
        self._called("providers", tenant)
        return self.jwt

    def client(self, tenant: Tenant, client_id: str) -> ClientFacts | None:
        self._called("client", tenant)
        return self.clients.get(client_id)

    def groups(self, tenant: Tenant) -> GroupSettings:
        self._called("groups", tenant)
        return self.settings

    def web_integration(self, tenant: Tenant, integration_id: str) -> frozenset[str] | None:
        self._called("web_integration", tenant)
        return self.integrations.get(integration_id)

    def csp(self, tenant: Tenant) -> Sequence[CspEntry]:
        self._called("csp", tenant)
        return self.csp_entries

    def _called(self, method: str, tenant: Tenant) -> None:
        del tenant
        self.calls.append(method)
        if self.fail[method]:
            raise self.fail[method].pop(0)


class SilentSetUp(FakeSetUp):
    """A tenant that answers, and whose set-up nobody can read: nothing is wrong, and nothing is checked."""

    def __init__(self, *_: object) -> None:
        super().__init__()

    def _called(self, method: str, tenant: Tenant) -> None:
        super()._called(method, tenant)
        if method != "greet":
            raise TenantGarbled(detail=f"{method}: said nothing")


def right_set_up(tenant: Tenant, *, now: float) -> FakeSetUp:
    """Return a set-up in which nothing is wrong with *tenant*, who has an allowed origin, two clients and FakeKeys."""
    origins = frozenset(tenant.allowed_origins)
    fingerprint = key_fingerprint(FakeKeys().load(tenant.signing_key).public_key())
    assert tenant.issuing_client
    assert tenant.management_client
    issuing, management = tenant.issuing_client, tenant.management_client
    return FakeSetUp(
        jwt=[JwtProvider(tenant.issuer, tenant.key_id, True, fingerprint, 0, now + 1000 * DAY_S)],
        clients={
            issuing.id: client(issuing.id, "issuing", {IMPERSONATION}, {"user_default"}, "issui", now, origins),
            management.id: client(
                management.id, "management", {"client_credentials"}, {"admin_classic", "user_default"}, "manag", now
            ),
        },
        integrations={tenant.web_integration_id or "": origins},
        csp_entries=[CspEntry(origin, may_frame=True) for origin in origins],
    )


def client(
    client_id: str,
    name: str,
    grants: set[str],
    scopes: set[str],
    hint: str,
    now: float,
    origins: frozenset[str] = frozenset(),
) -> ClientFacts:
    return ClientFacts(
        id=client_id,
        name=name,
        grants=frozenset(grants),
        scopes=frozenset(scopes),
        origins=origins,
        auth_methods=frozenset({"client_secret"}),
        consent="trusted",
        is_published=False,
        is_disabled=False,
        secrets=(ClientSecret(hint, now - 10 * DAY_S),),
        keys={},
    )
