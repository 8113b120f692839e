"""How the doctor reasons, over a set-up in memory."""

from collections import Counter
from dataclasses import dataclass, replace

import pytest
from doctorkit import DAY_S, FakeSetUp, right_set_up
from fakes import FakeBudget, FakeClock, FakeKeys, FakeMeasures, FakeQlik, FakeSubjects, FakeTenants
from samples import CLIENT, MANAGEMENT, subject
from samples import state as state_of

from bridge.budgeting import Limit
from bridge.diagnosis import CspEntry, Diagnosis, Finding, Greeting, Light
from bridge.errors import (
    StoreError,
    TenantError,
    TenantGarbled,
    TenantRefused,
    TenantTimeout,
    TenantUnavailable,
    UnknownTenant,
)
from bridge.model import QlikUser, Stage
from bridge.services.budget import Budget
from bridge.services.doctor import CHECKS, Doctor
from bridge.services.doctor_case import Tools
from bridge.services.signer import Signer
from bridge.telemetry import Metrics

PORTAL = "https://portal.example.com"
BRIDGE = "https://bridge.example.com"


@dataclass
class Office:
    """A doctor with one patient, right at first."""

    clock: FakeClock
    qlik: FakeQlik
    subjects: FakeSubjects
    set_up: FakeSetUp
    tenants: FakeTenants
    doctor: Doctor

    def examine(self, probe: str | None = None) -> Diagnosis:
        return self.doctor.examine("acme", probe)

    def find(self, check: str, probe: str | None = None) -> Finding:
        return next(each for each in self.examine(probe).findings if each.check == check)

    def know(self, sub: str, *groups: str) -> None:
        self.subjects.note("acme", subject(sub, *groups), 1)

    def change(self, **fields: object) -> None:
        known = self.tenants.states["acme"]
        self.tenants.states["acme"] = replace(known, tenant=known.tenant.model_copy(update=fields))


@pytest.fixture
def office(clock: FakeClock, qlik: FakeQlik, subjects: FakeSubjects) -> Office:
    state = state_of(
        Stage.SHADOW,
        allowed_origins=[PORTAL],
        issuing_client=CLIENT | {"secret": "hush-issui"},
        management_client=MANAGEMENT | {"secret": "hush-manag"},
    )
    set_up, tenants = right_set_up(state.tenant, now=clock()), FakeTenants(state)
    budget = Budget(FakeBudget(), Limit(), clock, Metrics(), FakeMeasures().tallies)
    tools = Tools(set_up, qlik, Signer(FakeKeys(), clock), FakeKeys(), subjects, clock, BRIDGE, budget)
    return Office(clock, qlik, subjects, set_up, tenants, Doctor(tenants, tools))


def test_causes_come_before_symptoms() -> None:
    seen: set[str] = set()
    for check in CHECKS:
        assert {*check.needs, *check.spoiled_by} <= seen, check.name
        seen.add(check.name)
    assert len(seen) == len(CHECKS)


def test_a_right_tenant_is_green(office: Office) -> None:
    office.know("alice", "Finance")
    diagnosis = office.examine("alice")
    assert [each for each in diagnosis.findings if each.light in {Light.RED, Light.AMBER}] == []
    assert [each.check for each in diagnosis.of(Light.NOT_CHECKED)] == ["sync_provider", "sync_key"]


def test_the_document_is_for_machines(office: Office) -> None:
    office.set_up.greeting = Greeting(None)
    document = office.examine().document()
    assert (document["tenant"], document["at"], document["light"], document["away"]) == (
        "acme",
        office.clock(),
        "green",
        False,
    )
    clocks = next(each for each in document["findings"] if each["check"] == "clock")
    assert clocks["light"] == "not checked"
    assert set(clocks) == {"check", "about", "light", "cause", "fix", "because"}


def test_an_unknown_tenant_and_a_store_that_is_away_are_errors(office: Office) -> None:
    with pytest.raises(UnknownTenant):
        office.doctor.examine("nowhere")
    office.subjects.broken = True
    with pytest.raises(StoreError):
        office.examine("alice")


@pytest.mark.parametrize(
    ("skew_s", "tolerance_s", "light"),
    [(3, 0, "green"), (-3, 0, "green"), (15, 0, "amber"), (61, 0, "red"), (-31, 0, "red"), (61, 60, "amber")],
)
def test_clocks_are_judged_by_what_our_jwts_bear(office: Office, skew_s: float, tolerance_s: float, light: str) -> None:
    office.set_up.greeting = Greeting(skew_s)
    office.set_up.jwt = [replace(office.set_up.jwt[0], tolerance_s=tolerance_s)]
    assert office.find("clock").light == light


def test_a_key_without_a_certificate_has_no_end(office: Office) -> None:
    office.set_up.jwt = [replace(office.set_up.jwt[0], certificate_ends=None)]
    assert office.find("certificate").light is Light.NOT_CHECKED


def test_a_key_id_that_another_issuer_has(office: Office) -> None:
    office.set_up.jwt = [replace(office.set_up.jwt[0], issuer="moved")]
    assert 'issuer = "moved"' in office.find("identity_provider").fix


@pytest.mark.parametrize(
    ("entry", "covers"),
    [
        ("portal.example.com", True),
        ("PORTAL.example.com", True),
        ("https://portal.example.com", True),
        ("https://portal.example.com:443", True),
        ("portal.example.com:*", True),
        ("*.example.com", True),
        ("portal.example.com:8443", False),
        ("*.portal.example.com", False),
        ("example.com", False),
        ("evilportal.example.com", False),
    ],
)
def test_a_csp_entry_is_read_as_browsers_read_it(office: Office, entry: str, covers: bool) -> None:  # noqa: FBT001
    office.set_up.csp_entries = [CspEntry(entry, may_frame=True)]
    assert (office.find("csp").light is Light.GREEN) is covers


def test_which_origins_must_be_listed(office: Office) -> None:
    office.change(portal_hosts=("shop.example.com", "localhost:8000"))
    assert "http://localhost:8000, https://shop.example.com" in office.find("issuing_origins").cause
    office.change(portal_hosts=(), allowed_origins=())
    assert BRIDGE in office.find("web_integration_origins").fix


def test_a_retired_tenant_needs_no_web_integration(office: Office) -> None:
    known = office.tenants.states["acme"]
    office.tenants.states["acme"] = replace(known, rollout=replace(known.rollout, stage=Stage.RETIRED))
    office.set_up.integrations.clear()
    found = {each.check: each for each in office.examine().findings}
    assert found["web_integration"].light is Light.NOT_CHECKED
    assert found["web_integration_origins"].because == "web_integration"


def test_the_age_is_that_of_our_secret_and_not_of_one_that_is_left_over(office: Office) -> None:
    issuing = office.set_up.clients[CLIENT["id"]]
    fresh, old = issuing.secrets[0], replace(issuing.secrets[0], hint="zzzzz", created_at=0.0)
    office.set_up.clients[CLIENT["id"]] = replace(issuing, secrets=(old, fresh))
    assert office.find("secret_age").light is Light.GREEN
    aged = replace(fresh, created_at=office.clock() - 366 * DAY_S)
    office.set_up.clients[CLIENT["id"]] = replace(issuing, secrets=(aged,))
    assert office.find("secret_age").light is Light.AMBER


def test_without_an_issuing_client_nothing_is_guessed(office: Office) -> None:
    office.change(issuing_client=None, management_client=None)
    found = {each.check: each for each in office.examine().findings}
    assert found["issuing_client"].light is Light.RED
    assert found["issuing_scope"].because == "issuing_client"
    assert found["clients_apart"].light is Light.NOT_CHECKED
    assert office.set_up.calls == ["greet"]


def test_a_reading_that_makes_no_sense_is_not_checked_and_the_rest_goes_on(office: Office) -> None:
    office.set_up.fail["csp"] = [TenantGarbled(detail="csp: no list")]
    office.set_up.fail["groups"] = [TenantRefused(detail="groups: 403", status=403)]
    diagnosis = office.examine()
    found = {each.check: each for each in diagnosis.findings}
    assert found["csp"].light is found["groups"].light is Light.NOT_CHECKED
    assert "csp: no list" in found["csp"].cause
    assert found["web_integration"].light is Light.GREEN
    assert not diagnosis.is_away


@pytest.mark.parametrize("error", [TenantUnavailable, TenantTimeout])
def test_a_tenant_that_goes_away_half_way(office: Office, error: type[Exception]) -> None:
    office.set_up.fail["providers"] = [error()]
    diagnosis = office.examine()
    found = {each.check: each for each in diagnosis.findings}
    assert diagnosis.is_away
    assert found["identity_provider"].light is Light.NOT_CHECKED
    assert found["signing_key"].because == "identity_provider"


def test_a_name_from_the_tenant_cannot_move_the_cursor(office: Office) -> None:
    issuing = office.set_up.clients[CLIENT["id"]]
    office.set_up.clients[CLIENT["id"]] = replace(issuing, name="x\x1b[2J", consent="required")
    assert "\x1b" not in office.find("issuing_consent").fix


class TestDryRun:
    """A real login and token, of somebody whom the bridge knows."""

    def test_it_happens_only_when_asked_for(self, office: Office) -> None:
        office.know("alice")
        assert office.find("probe_login").fix.endswith("--probe SUBJECT")
        assert office.qlik.calls == []

    def test_the_token_is_ended_also_when_nobody_says_whose_it_is(self, office: Office) -> None:
        office.know("alice", "Finance")
        assert office.find("probe_token", "alice").light is Light.GREEN
        assert office.qlik.names() == ["log_in", "mint", "whoami", "revoke"]
        office.qlik.calls.clear()
        office.qlik.fail["whoami"] = [TenantRefused(status=401, detail="users/me: 401")]
        assert office.find("probe_token", "alice").light is Light.NOT_CHECKED
        assert office.qlik.names()[-1] == "revoke"

    def test_somebody_unknown_is_not_logged_in(self, office: Office) -> None:
        assert office.find("probe_login", "alice").light is Light.NOT_CHECKED
        assert office.qlik.calls == []

    @pytest.mark.parametrize(
        ("known", "check", "words"),
        [
            (QlikUser("id-alice", "alice", frozenset({"Finance", "Admins"})), "probe_groups", "Admins"),
            (QlikUser("id-alice", "alice", frozenset()), "probe_groups", "lacks Finance"),
            (QlikUser("id-alice", "ALICE", frozenset({"Finance"})), "probe_login", "another subject"),
        ],
    )
    def test_what_the_tenant_makes_of_the_login(self, office: Office, known: QlikUser, check: str, words: str) -> None:
        office.know("alice", "Finance")
        office.qlik.users["alice"] = known
        found = office.find(check, "alice")
        assert found.light is Light.RED
        assert words in found.cause

    def test_missing_groups_wait_for_the_setting_that_explains_them(self, office: Office) -> None:
        office.know("alice", "Finance")
        office.set_up.settings = replace(office.set_up.settings, auto_create=False)
        office.qlik.users["alice"] = QlikUser("id-alice", "alice", frozenset())
        assert office.find("probe_groups", "alice").because == "groups"

    @pytest.mark.parametrize(("status", "words"), [(403, "enable"), (401, "lines above")])
    def test_a_refused_login(self, office: Office, status: int, words: str) -> None:
        office.know("alice")
        office.qlik.fail["log_in"] = [TenantRefused(status=status, detail="jwt-session")]
        assert words in office.find("probe_login", "alice").fix

    def test_a_token_for_somebody_else(self, office: Office) -> None:
        office.know("alice")

        def swap() -> None:
            office.qlik.tokens["fake-token-1"] = QlikUser("id-bob", "bob", frozenset())

        office.qlik.before["whoami"] = swap
        assert "somebody else" in office.find("probe_token", "alice").cause
        assert office.qlik.revoked == {"fake-token-1"}


def test_what_is_red_stands_in_the_way_of_a_move(office: Office) -> None:
    state = office.tenants.states["acme"]
    office.set_up.csp_entries = []
    office.set_up.settings = replace(office.set_up.settings, auto_create=False)

    (unmet,) = office.doctor.conditions(state, Stage.ROLLOUT)
    assert (unmet.condition, unmet.forceable) == ("doctor", True)
    assert "autoCreateGroups" in unmet.message
    assert office.qlik.calls == []

    office.set_up.fail["greet"] = [TenantUnavailable()]
    with pytest.raises(TenantUnavailable):
        list(office.doctor.conditions(state, Stage.ROLLOUT))


@pytest.mark.parametrize(
    "trouble", [TenantGarbled(detail="groups: no list"), TenantRefused(status=404, detail="groups: 404")]
)
def test_what_could_not_be_read_is_not_clean(office: Office, trouble: TenantError) -> None:
    state = office.tenants.states["acme"]
    for _ in range(2):
        office.set_up.fail["groups"] = [trouble]
        with pytest.raises(TenantGarbled, match=r"Group settings could not be read: .*Try again.*admin_classic"):
            list(office.doctor.conditions(state, Stage.ROLLOUT))
    assert list(office.doctor.conditions(state, Stage.ROLLOUT)) == []


def test_what_is_red_is_told_beside_what_could_not_be_read(office: Office) -> None:
    office.set_up.fail["groups"] = [TenantGarbled(detail="groups: no list")]
    office.set_up.integrations = {}
    unmet = office.doctor.conditions(office.tenants.states["acme"], Stage.ROLLOUT)

    assert "web integration" in next(unmet).message
    with pytest.raises(TenantGarbled):
        list(unmet)


def test_a_tenant_that_nobody_is_to_read_may_move(office: Office) -> None:
    office.change(management_client=None)

    assert list(office.doctor.conditions(office.tenants.states["acme"], Stage.ROLLOUT)) == []


def test_a_tenant_without_red_is_not_examined_again_for_a_minute(office: Office) -> None:
    def unmet() -> list[str]:
        return [each.condition for each in office.doctor.conditions(office.tenants.states["acme"], Stage.ROLLOUT)]

    assert [unmet(), unmet()] == [[], []]
    assert office.set_up.calls.count("greet") == 1
    office.set_up.settings = replace(office.set_up.settings, auto_create=False)
    office.clock.advance(61)
    assert [unmet(), unmet()] == [["doctor"], ["doctor"]]
    office.set_up.settings = replace(office.set_up.settings, auto_create=True)
    assert unmet() == [], "whoever mends it need not wait"
    office.change(web_integration_id=None)
    assert unmet() == ["doctor"], "the tenant is another one now"


def test_an_examination_asks_each_thing_once(office: Office) -> None:
    office.examine()
    assert Counter(office.set_up.calls) == {
        "greet": 1,
        "sign_in": 1,
        "providers": 1,
        "client": 2,
        "groups": 1,
        "web_integration": 1,
        "csp": 1,
    }
