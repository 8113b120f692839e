"""A tenant's set-up in memory, right at first, for the doctor to examine."""

from collections import defaultdict
from collections.abc import Callable, Iterator, Sequence
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
from bridge.model import Tenant
from bridge.ports import Clock, SigningKeys

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


class RightSetUps:
    """Stands for what reads tenants over HTTP: each answers, and nothing is wrong with it."""

    def __init__(self, keys: SigningKeys, clock: Clock, **_: object) -> None:
        self._keys = keys
        self._clock = clock

    def __getattr__(self, method: str) -> Callable[..., object]:
        def read(tenant: Tenant, *asked: str) -> object:
            return getattr(right_set_up(tenant, now=self._clock(), keys=self._keys), method)(tenant, *asked)

        return read


def right_set_up(tenant: Tenant, *, now: float, keys: SigningKeys | None = None) -> FakeSetUp:
    """Return a set-up in which nothing is wrong with *tenant*, who has an allowed origin and two clients."""
    origins = frozenset(tenant.allowed_origins)
    assert tenant.issuing_client
    assert tenant.management_client
    issuing, management = tenant.issuing_client, tenant.management_client
    return FakeSetUp(
        jwt=list(_providers(tenant, keys or FakeKeys(), now)),
        clients={
            issuing.id: client(issuing.id, "issuing", {IMPERSONATION}, {"user_default"}, "issui", now, origins),
            management.id: client(
                management.id, "management", {"client_credentials"}, {"admin_classic", "user_default"}, "manag", now
            ),
        },
        integrations={tenant.web_integration_id or "": origins},
        csp_entries=[CspEntry(origin, may_frame=True) for origin in origins],
    )


def _providers(tenant: Tenant, keys: SigningKeys, now: float) -> Iterator[JwtProvider]:
    for issuer, key_id, file in (
        (tenant.issuer, tenant.key_id, tenant.signing_key),
        (tenant.sync_issuer, tenant.sync_key_id, tenant.sync_key),
    ):
        if issuer and key_id and file:
            fingerprint = key_fingerprint(keys.load(file).public_key())
            yield JwtProvider(issuer, key_id, True, fingerprint, 0, now + 1000 * DAY_S)


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
