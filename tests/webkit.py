"""The web side over in-memory parts, and visitors to it."""

import uuid
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Any, cast

import jwt
from cryptography.fernet import Fernet
from cryptography.hazmat.primitives.asymmetric import ec
from doctorkit import FakeSetUp
from fakes import (
    FakeAccess,
    FakeApp,
    FakeAudit,
    FakeBudget,
    FakeClock,
    FakeDecisions,
    FakeDirectory,
    FakeEngine,
    FakeEvents,
    FakeHistory,
    FakeImpersonations,
    FakeJwtUses,
    FakeKeys,
    FakeKeySet,
    FakeLedger,
    FakeMeasures,
    FakeOperatorTokens,
    FakeParity,
    FakePeople,
    FakeQlik,
    FakeRenewals,
    FakeSealedValues,
    FakeSessions,
    FakeSubjects,
    FakeTenants,
    FakeTokens,
    FakeWebhooks,
)
from flask.testing import FlaskClient
from openfeature import api as openfeature
from samples import state
from werkzeug.test import TestResponse

from bridge.adapters.flags import RolloutProvider
from bridge.bootstrap import Bridge
from bridge.errors import UnmetCondition
from bridge.model import Cohorts, Identity, Rollout, Stage, Subject, Tenant, TenantState
from bridge.ports import Probe
from bridge.roles import Grant
from bridge.services.app_content import AppContent
from bridge.services.broker import Broker
from bridge.services.budget import Budget
from bridge.services.bulkhead import Bulkhead
from bridge.services.doctor import Doctor
from bridge.services.doctor_case import Tools
from bridge.services.groups import GroupSync
from bridge.services.guardrails import Guardrails
from bridge.services.history import History
from bridge.services.impersonations import ImpersonationJoin
from bridge.services.jwt_sessions import JwtSessions
from bridge.services.keeper import Keeper
from bridge.services.kills import Kills
from bridge.services.legacy import LegacyJwts
from bridge.services.lookup import Lookup
from bridge.services.measures import Measures
from bridge.services.notices import Notices
from bridge.services.operators import EVERYTHING, Operators
from bridge.services.parity import Parity
from bridge.services.parity_baselines import Baselines
from bridge.services.parity_look import Looks
from bridge.services.parity_people import Roster
from bridge.services.prewarm import Prewarm
from bridge.services.ramps import Ramps
from bridge.services.renewals import Renewals
from bridge.services.retirement import Retirements
from bridge.services.rollout import Rollouts
from bridge.services.sealing import Resealing
from bridge.services.sessions import Sessions
from bridge.services.shadow import Shadow
from bridge.services.shadow_plan import ShadowPlans
from bridge.services.signer import Signer
from bridge.services.stages import Stages
from bridge.services.stragglers import Stragglers
from bridge.services.tenant_changes import TenantChanges
from bridge.services.tenants import Tenants
from bridge.settings import Settings, read_settings
from bridge.telemetry import Metrics
from bridge.web import create_app

DEMO_URL = "http://localhost:8000"
PORTAL_URL = "https://bridge.example.com"
ISSUER = "https://portal.example.com"
KID = "portal-1"
ELSEWHERE = "https://app.example.com"

DEMO = {
    "BRIDGE_PUBLIC_URL": DEMO_URL,
    "BRIDGE_IDENTITY": "demo",
    "BRIDGE_DEMO_PEOPLE": "http://127.0.0.1:9001",
    "BRIDGE_ADMIN_GROUPS": "demo:bridge-admins",
    "BRIDGE_DEFAULT_TENANT": "acme",
}
ASSERTION = {
    "BRIDGE_PUBLIC_URL": PORTAL_URL,
    "BRIDGE_IDENTITY": "assertion",
    "BRIDGE_ASSERTION_ISSUER": ISSUER,
    "BRIDGE_ASSERTION_JWKS": "jwks.json",
    "BRIDGE_ADMIN_GROUPS": "assertion:bridge-admins",
}
HEADER = {
    "BRIDGE_PUBLIC_URL": PORTAL_URL,
    "BRIDGE_IDENTITY": "header",
    "BRIDGE_TRUSTED_PROXIES": "10.0.0.0/8",
    "BRIDGE_ADMIN_GROUPS": "header:bridge-admins",
}
ADMITS = ("demo", "header", ISSUER)


@lru_cache
def portal_key() -> ec.EllipticCurvePrivateKey:
    return ec.generate_private_key(ec.SECP256R1())


def jwk_of(key: ec.EllipticCurvePrivateKey, **more: str) -> Mapping[str, Any]:
    return jwt.algorithms.ECAlgorithm.to_jwk(key.public_key(), as_dict=True) | {"kid": KID, **more}


def somebody(sub: str, *groups: str) -> Identity:
    return Identity(Subject(sub, sub.title(), f"{sub}@example.com", frozenset(groups)), "demo", "demo", 0)


@dataclass
class Visitor:
    """Somebody at a browser, or a program, with its own cookies."""

    client: FlaskClient
    base: str
    peer: str = "192.0.2.7"

    def get(self, path: str, **options: Any) -> TestResponse:  # noqa: ANN401 - passed on to werkzeug
        return self._ask("GET", path, **options)

    def post(self, path: str, **options: Any) -> TestResponse:  # noqa: ANN401 - passed on to werkzeug
        return self._ask("POST", path, **options)

    def put(self, path: str, **options: Any) -> TestResponse:  # noqa: ANN401 - passed on to werkzeug
        return self._ask("PUT", path, **options)

    def delete(self, path: str, **options: Any) -> TestResponse:  # noqa: ANN401 - passed on to werkzeug
        return self._ask("DELETE", path, **options)

    def options(self, path: str, **options: Any) -> TestResponse:  # noqa: ANN401 - passed on to werkzeug
        return self._ask("OPTIONS", path, **options)

    def _ask(self, method: str, path: str, **options: Any) -> TestResponse:  # noqa: ANN401 - passed on to werkzeug
        peer = {"REMOTE_ADDR": options.pop("peer", self.peer)}
        base = options.pop("base_url", self.base)
        return self.client.open(path, method=method, base_url=base, environ_overrides=peer, buffered=True, **options)

    def sign_in(self, username: str, **fields: str) -> TestResponse:
        return self.post("/login", data={"username": username, "csrf_token": self.form_token(), **fields})

    def form_token(self) -> str:
        page = self.get("/login").text
        return page.split('name="csrf_token" value="')[1].split('"')[0]

    def csrf(self, slug: str = "acme") -> dict[str, str]:
        """Return the header that proves a page of ours."""
        return {"CSRF-Token": self.get(f"/t/{slug}/session").get_json()["csrf"]}

    def access_token(self, slug: str = "acme", **headers: str) -> TestResponse:
        return self.post(f"/t/{slug}/access-token", headers=self.csrf(slug) | headers)

    def cookie(self, name: str = "bridge_session") -> str | None:
        host = self.base.split("://")[1].split(":")[0]
        kept = self.client.get_cookie(name, domain=host)
        return kept.value if kept else None


@dataclass
class Web:
    """An application and everything behind it."""

    settings: Settings
    clock: FakeClock = field(default_factory=FakeClock)
    metrics: Metrics = field(default_factory=Metrics)
    probes: list[Probe] = field(default_factory=list)
    unmet: list[UnmetCondition] = field(default_factory=list)
    key_set: FakeKeySet = field(default_factory=lambda: FakeKeySet({KID: jwk_of(portal_key(), alg="ES256")}))

    def __post_init__(self) -> None:
        self.qlik = FakeQlik(self.clock)
        self.set_up = FakeSetUp()
        self.engine = FakeEngine(self.qlik, app_acme=FakeApp(), app_globex=FakeApp())
        self.tenants = FakeTenants(*(_tenant(slug) for slug in ("acme", "globex")))
        self.subjects, self.tokens = FakeSubjects(), FakeTokens(self.clock)
        self.renewals, self.sessions, self.ledger = FakeRenewals(self.tokens), FakeSessions(), FakeLedger()
        self.measures, self.outbox, self.webhooks = FakeMeasures(), self.tenants.outbox, FakeWebhooks()
        self.history = FakeHistory()
        self.jwt_uses, self.events, self.impersonations = FakeJwtUses(), FakeEvents(), FakeImpersonations()
        self.operator_tokens, self.audit, self.parity = FakeOperatorTokens(), FakeAudit(), FakeParity()
        self.access, self.budget = FakeAccess(self.qlik), FakeBudget()
        self.audit.events = self.tenants.events
        names = {"alice": ("Finance", "EMEA"), "bob": ("Sales",), "carol": (), "erin": ("bridge-admins",)}
        self.people = FakePeople([somebody(name, *groups) for name, groups in names.items()])
        self.bridge = self._wired()
        self.app = create_app(self.bridge)

    def _wired(self) -> Bridge:
        keys, signer = FakeKeys(), Signer(FakeKeys(), self.clock)
        groups = GroupSync(self.qlik, signer, self.subjects, self.clock, self.metrics)
        stages = Stages(
            self.tenants, keys, self.clock, self.metrics, [lambda _now, _to: self.unmet], self.subjects.known
        )
        provider = RolloutProvider(self.tenants.all)
        openfeature.set_provider_and_wait(provider, domain := f"web-{id(provider)}")
        rollouts = Rollouts(openfeature.get_client(domain), self.metrics, may_block=False)
        history = History(self.history, self.clock, self.metrics, secret=b"salt")
        measures = Measures(self.measures, self.clock, self.metrics, secret=b"salt", history=history)
        notices = Notices(
            outbox=self.outbox,
            sender=self.webhooks,
            tenants=self.tenants,
            for_all=self.settings.notify,
            clock=self.clock,
            metrics=self.metrics,
        )
        guardrails = Guardrails(
            tenants=self.tenants,
            measures=self.measures,
            audit=self.audit,
            notices=notices,
            clock=self.clock,
            metrics=self.metrics,
        )
        broker = Broker(
            qlik=self.qlik,
            groups=groups,
            rollouts=rollouts,
            tokens=self.tokens,
            tenants=self.tenants,
            clock=self.clock,
            metrics=self.metrics,
            measures=measures,
        )
        budget = Budget(self.budget, self.settings.limit, self.clock, self.metrics, self.measures.tallies)
        renewals = Renewals(
            store=self.renewals,
            tenants=self.tenants,
            subjects=self.subjects,
            broker=broker,
            rollouts=rollouts,
            budget=budget,
            measures=measures,
            clock=self.clock,
            metrics=self.metrics,
            ahead_s=1800,
            seen_s=3600,
        )
        declared = Tenants(self.tenants, keys, self.clock, lambda _tenant: None)
        looks = Looks(self.access, b"secret")
        parity = Parity(
            looks=looks,
            baselines=Baselines(looks, groups, rollouts, self.parity, self.clock),
            broker=broker,
            tenants=self.tenants,
            store=self.parity,
            clock=self.clock,
            metrics=self.metrics,
            measures=measures,
        )
        return Bridge(
            settings=self.settings,
            clock=self.clock,
            metrics=self.metrics,
            tenants=self.tenants,
            rollouts=rollouts,
            broker=broker,
            app_content=AppContent(self.engine, broker),
            legacy=LegacyJwts(signer, groups, self.metrics),
            stages=stages,
            ramps=Ramps(self.tenants, stages, self.clock, self.metrics),
            kills=Kills(self.tenants, stages, self.clock),
            stragglers=Stragglers(self.jwt_uses, self.clock, self.metrics),
            retirements=Retirements(self.jwt_uses, JwtSessions(self.events, self.clock), self.clock),
            budget=budget,
            bulkhead=Bulkhead(self.settings.threads, self.metrics),
            doctor=Doctor(self.tenants, self._doctors_tools(signer)),
            impersonations=ImpersonationJoin(self.impersonations, self.events, self.clock),
            declared=declared,
            tenant_changes=TenantChanges(self.tenants, declared),
            lookup=Lookup(self.subjects, self.tokens, FakeDecisions(self.audit), rollouts),
            parity=parity,
            roster=Roster(self.subjects, self.clock),
            sessions=Sessions(self.sessions, self.clock),
            operators=Operators(self.settings.grants(), self.operator_tokens, self.audit, self.clock),
            audit=self.audit,
            ledger=self.ledger,
            keys=cast("Any", keys),
            assertion_keys=self.key_set,
            oidc=None,
            people=self.people,
            probes=self.probes,
            measures=measures,
            history=history,
            guardrails=guardrails,
            notices=notices,
            shadow=Shadow(
                tenants=self.tenants,
                trial=lambda now, who: parity.compare(now.tenant.slug, who).outcome.value,
                sample=lambda tenant: tenant.parity.sample_percent,
                clock=self.clock,
                metrics=self.metrics,
                measures=measures,
            ),
            shadow_plans=ShadowPlans(FakeDirectory(), self.qlik),
            keeper=Keeper(self.metrics),
            resealing=Resealing(FakeSealedValues(), self.audit, self.clock),
            state_age_s=lambda: 0.2,
            renewals=renewals,
            prewarm=Prewarm(tenants=self.tenants, groups=groups, broker=broker, rollouts=rollouts, clock=self.clock),
            close_database=lambda: None,
        )

    def _doctors_tools(self, signer: Signer) -> Tools:
        url = self.settings.public_url
        budget = Budget(self.budget, self.settings.limit, self.clock, self.metrics, self.measures.tallies)
        return Tools(self.set_up, self.qlik, signer, FakeKeys(), self.subjects, self.clock, url, budget)

    def visitor(self, username: str | None = None, *, peer: str = "192.0.2.7") -> Visitor:
        visitor = Visitor(self.app.test_client(), self.settings.public_url, peer)
        if username:
            assert visitor.sign_in(username).status_code == 303
        return visitor

    def at(self, stage: str, percentage: float = 0, slug: str = "acme", **cohorts: frozenset[str]) -> None:
        tenant = self.tenants.states[slug].tenant
        self.tenants.states[slug] = TenantState(tenant, Rollout(Stage(stage), percentage, Cohorts(**cohorts)))

    def change(self, slug: str = "acme", **fields: Any) -> None:  # noqa: ANN401 - whatever a test invents
        known = self.tenants.states[slug]
        tenant = Tenant.from_documents(known.tenant.public_document() | fields, known.tenant.secrets())
        self.tenants.states[slug] = TenantState(tenant, known.rollout)

    def assertion(self, sub: str = "ada", *, key: Any = None, algorithm: str = "ES256", **changed: Any) -> str:  # noqa: ANN401 - whatever a test invents
        """Return a signed assertion; None as a changed claim leaves it out, `kid` goes to the header."""
        now = int(self.clock())
        headers = {"kid": changed.pop("kid", KID)}
        claims = {
            "iss": ISSUER,
            "aud": PORTAL_URL,
            "sub": sub,
            "name": "Ada",
            "email": "ada@example.com",
            "groups": ["Finance"],
            "tenant": "acme",
            "iat": now,
            "exp": now + 60,
            "jti": str(uuid.uuid4()),
            **changed,
        }
        kept = {name: value for name, value in claims.items() if value is not None}
        return jwt.encode(kept, key or portal_key(), algorithm, {name: kid for name, kid in headers.items() if kid})

    def vouch(self, sub: str = "ada", **changed: Any) -> dict[str, str]:  # noqa: ANN401 - whatever a test invents
        return {"Authorization": f"Bearer {self.assertion(sub, **changed)}"}

    def operator_token(self, name: str = "ci", grant: Grant = EVERYTHING) -> dict[str, str]:
        return {"Authorization": f"Bearer {self.bridge.operators.new_token(name, actor='test', grant=grant)}"}


def _tenant(slug: str) -> TenantState:
    content = {"app_id": f"app-{slug}", "object_id": "object", "hypercube_measure": "Sum(Sales)"}
    return state(Stage.LEGACY, slug=slug, admits=ADMITS, allowed_origins=[ELSEWHERE], content=content)


def web(**environment: str) -> Web:
    required = {"BRIDGE_SECRET_KEY": "s" * 40, "BRIDGE_ENCRYPTION_KEYS": Fernet.generate_key().decode()}
    return Web(read_settings(required | environment))


def problem(answer: TestResponse) -> tuple[int, str]:
    return answer.status_code, answer.get_json()["error"]
