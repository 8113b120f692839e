"""Safe to retire? The verdict over every kind of evidence, and what each says."""

from collections.abc import Callable
from typing import Any

import pytest
from fakes import START, FakeClock, FakeEvents, FakeJwtUses
from samples import MANAGEMENT, state

from bridge.errors import TenantRefused, TenantThrottled
from bridge.model import Stage, TenantState
from bridge.services import jwt_sessions
from bridge.services.jwt_sessions import IMPERSONATION, JwtSessions
from bridge.services.retirement import Retirements
from bridge.trail import Apart, Evidence, JwtUse, Kind, TenantEvent, Verdict, Whence

DAY = 86_400
SYNC: dict[str, Any] = {"sync_issuer": "issuer-sync", "sync_key_id": "kid-sync", "sync_key": "sync.pem"}
BRIDGE_IP, HOME_IP = "93.184.216.34", "81.2.69.142"
PORTAL = Whence("https://portal.example", "Chrome")


def acme(stage: Stage = Stage.OAUTH, **changes: Any) -> TenantState:  # noqa: ANN401 - whatever a test invents
    return state(stage, management_client=MANAGEMENT, **changes)


APART, SHARED = acme(**SYNC), acme()


@pytest.fixture
def uses() -> FakeJwtUses:
    """Uses have been noted for thirty days."""
    return FakeJwtUses(since=START - 30 * DAY)


@pytest.fixture
def events() -> FakeEvents:
    return FakeEvents()


@pytest.fixture
def retirements(uses: FakeJwtUses, events: FakeEvents, clock: FakeClock) -> Retirements:
    return Retirements(uses, JwtSessions(events, clock), clock)


Began = Callable[..., None]


@pytest.fixture
def began(events: FakeEvents) -> Began:
    def begin(provider: str | None, sub: str = "alice", *, days_ago: float = 1, address: str = HOME_IP) -> None:
        at, number = START - days_ago * DAY, str(len(events.events))
        data = {"idpId": provider, "subject": sub}
        events.events.append(TenantEvent(number, Kind.SESSION_BEGIN, at, f"id-{sub}", address, data))

    return begin


@pytest.fixture
def impersonated(events: FakeEvents) -> Began:
    def issue(client: str = "client-acme", grant: str = IMPERSONATION, address: str = BRIDGE_IP) -> None:
        data = {"issuedToClientId": client, "grantType": grant}
        events.events.append(TenantEvent("t", Kind.TOKEN_ISSUED, START - DAY, "id-alice", address, data))

    return issue


def of_tenant(retirements: Retirements, tenant: TenantState) -> Evidence:
    return next(each for each in retirements.examine(tenant.tenant).evidence if each.source == "tenant")


# --- the bridge's own notes --------------------------------------------------------------------------------


def test_quiet_everywhere_is_safe(retirements: Retirements) -> None:
    judged = retirements.examine(APART.tenant)

    assert judged.verdict is Verdict.SAFE
    assert [each.verdict for each in judged.evidence] == [Verdict.SAFE, Verdict.SAFE]
    assert judged.since == START - 14 * DAY


def test_somebody_who_asked_the_bridge_is_not_safe_and_named_by_page(
    retirements: Retirements, uses: FakeJwtUses
) -> None:
    for sub in ("alice", "bob"):
        uses.note(JwtUse("acme", sub, PORTAL, START - DAY, START - DAY))
    uses.note(JwtUse("globex", "carol", PORTAL, START, START))

    judged = retirements.examine(APART.tenant)

    assert judged.verdict is Verdict.NOT_SAFE
    assert "2 subjects" in judged.evidence[0].why
    assert "https://portal.example" in judged.evidence[0].why
    assert "2027-01-14T08:00:00Z" in judged.evidence[0].why


def test_older_uses_do_not_count_and_the_days_may_be_given(retirements: Retirements, uses: FakeJwtUses) -> None:
    uses.note(JwtUse("acme", "alice", PORTAL, START - 20 * DAY, START - 20 * DAY))

    assert retirements.examine(APART.tenant).verdict is Verdict.SAFE
    assert retirements.examine(APART.tenant, days=21).verdict is Verdict.NOT_SAFE
    assert retirements.examine(acme(quiet_days=30, **SYNC).tenant).verdict is Verdict.NOT_SAFE


def test_silence_before_anybody_listened_proves_nothing(
    retirements: Retirements, uses: FakeJwtUses, clock: FakeClock
) -> None:
    uses.since = START - 10 * DAY
    judged = retirements.examine(APART.tenant)

    assert judged.verdict is Verdict.CANNOT_TELL
    assert "2027-01-19T08:00:00Z" in judged.evidence[0].why
    clock.advance(4 * DAY)
    assert retirements.examine(APART.tenant).verdict is Verdict.SAFE


# --- the tenant's events ---------------------------------------------------------------------------------


def test_a_second_identity_provider_tells_browsers_from_the_bridge(retirements: Retirements, began: Began) -> None:
    """Whatever address they came from."""
    for _ in range(3):
        began("idp-sync", address=HOME_IP)
    assert of_tenant(retirements, APART).verdict is Verdict.SAFE

    began("idp-browser", "bob", address=BRIDGE_IP)
    found = of_tenant(retirements, APART)

    assert found.verdict is Verdict.NOT_SAFE
    assert "bob" in found.why
    assert "second identity provider" in found.why


def test_one_identity_provider_and_nothing_else_cannot_tell(retirements: Retirements, began: Began) -> None:
    began("idp-browser")
    found = of_tenant(retirements, SHARED)

    assert found.verdict is Verdict.CANNOT_TELL
    assert "sync_issuer" in found.why


def test_one_identity_provider_without_any_session_is_safe(retirements: Retirements) -> None:
    assert of_tenant(retirements, SHARED).verdict is Verdict.SAFE


def test_the_addresses_of_impersonations_are_the_bridges(
    retirements: Retirements, began: Began, impersonated: Began
) -> None:
    impersonated()
    began("idp-browser", address=BRIDGE_IP)
    quiet = retirements.examine(SHARED.tenant)
    began("idp-browser", "bob", address=HOME_IP)
    found = retirements.examine(SHARED.tenant)

    assert (quiet.verdict, found.verdict) == (Verdict.SAFE, Verdict.NOT_SAFE)
    assert BRIDGE_IP in quiet.evidence[1].why
    assert quiet.sessions is not None
    assert quiet.sessions.apart is Apart.ADDRESS
    assert found.sessions is not None
    assert found.sessions.browsers == {"bob": 1}


@pytest.mark.parametrize("address", ["10.0.0.7", "127.0.0.1", "192.168.1.1", "", "nonsense", "100.64.0.9"])
def test_an_address_that_others_share_proves_nothing(
    retirements: Retirements, began: Began, impersonated: Began, address: str
) -> None:
    impersonated(address=address)
    began("idp-browser", address=address)

    assert of_tenant(retirements, SHARED).verdict is Verdict.CANNOT_TELL


def test_only_impersonations_by_our_own_client_tell_our_address(
    retirements: Retirements, began: Began, impersonated: Began
) -> None:
    impersonated(client="somebody-else")
    impersonated(grant="token-exchange")
    began("idp-browser", address=BRIDGE_IP)

    assert of_tenant(retirements, SHARED).verdict is Verdict.CANNOT_TELL


def test_a_session_without_an_address_is_unclear(retirements: Retirements, began: Began, impersonated: Began) -> None:
    impersonated()
    began("idp-browser", address="")

    assert of_tenant(retirements, SHARED).verdict is Verdict.CANNOT_TELL


def test_other_ways_in_are_not_the_jwt_path(retirements: Retirements, events: FakeEvents, began: Began) -> None:
    events.providers["other", "kid"] = "idp-other"
    for provider in (None, "idp-oidc", "idp-other"):
        began(provider)
    found = of_tenant(retirements, APART)

    assert found.verdict is Verdict.SAFE
    assert "1 more came by other JWT identity providers" in found.why


def test_a_provider_that_the_tenant_does_not_list_cannot_be_recognised(
    retirements: Retirements, events: FakeEvents
) -> None:
    del events.providers["issuer-acme", "kid-acme"]
    found = of_tenant(retirements, APART)

    assert found.verdict is Verdict.CANNOT_TELL
    assert "issuer-acme" in found.why


def test_a_sync_provider_that_the_tenant_does_not_list_tells_nothing_apart(
    retirements: Retirements, events: FakeEvents, began: Began
) -> None:
    del events.providers["issuer-sync", "kid-sync"]
    began("idp-browser")

    assert of_tenant(retirements, APART).verdict is Verdict.CANNOT_TELL


def test_events_outside_the_days_do_not_count(retirements: Retirements, began: Began) -> None:
    began("idp-browser", days_ago=15)

    assert of_tenant(retirements, APART).verdict is Verdict.SAFE


def test_every_page_is_read(retirements: Retirements, events: FakeEvents, began: Began) -> None:
    events.page_size = 2
    for number in range(7):
        began("idp-sync" if number < 6 else "idp-browser", days_ago=1 + number)
    judged = retirements.examine(APART.tenant)

    assert judged.verdict is Verdict.NOT_SAFE
    assert judged.sessions is not None
    assert (judged.sessions.bridge, judged.sessions.read_since) == (6, judged.since)


def test_more_events_than_we_may_read_cannot_tell(
    retirements: Retirements, events: FakeEvents, began: Began, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(jwt_sessions, "MAX_PAGES", 2)
    events.page_size = 2
    for number in range(7):
        began("idp-sync", days_ago=1 + number)
    found = of_tenant(retirements, APART)

    assert events.pages_read == 2
    assert found.verdict is Verdict.CANNOT_TELL
    assert "2027-01-11T08:00:00Z" in found.why


@pytest.mark.parametrize("failure", [TenantRefused(status=403), TenantThrottled(retry_after_s=9)])
def test_events_that_cannot_be_read_cannot_tell(
    retirements: Retirements, events: FakeEvents, failure: TenantRefused
) -> None:
    events.fail = failure
    judged = retirements.examine(APART.tenant)

    assert judged.verdict is Verdict.CANNOT_TELL
    assert failure.message in judged.evidence[1].why
    assert judged.sessions is None


def test_without_a_management_client_it_is_said_what_is_missing(retirements: Retirements, events: FakeEvents) -> None:
    events.fail = TenantRefused()

    assert "management_client" in of_tenant(retirements, state(Stage.OAUTH, **SYNC)).why


def test_one_reason_against_outweighs_what_cannot_be_told(
    retirements: Retirements, events: FakeEvents, uses: FakeJwtUses
) -> None:
    events.fail = TenantRefused()
    uses.note(JwtUse("acme", "alice", PORTAL, START, START))

    assert retirements.examine(APART.tenant).verdict is Verdict.NOT_SAFE


# --- the condition of a move -----------------------------------------------------------------------------


def test_a_safe_tenant_meets_the_condition(retirements: Retirements) -> None:
    assert list(retirements.conditions(APART, Stage.RETIRED)) == []


def test_each_doubt_is_an_unmet_condition_with_its_way_out(
    retirements: Retirements, uses: FakeJwtUses, events: FakeEvents
) -> None:
    uses.note(JwtUse("acme", "alice", PORTAL, START, START))
    events.fail = TenantRefused(status=403)

    unmet = list(retirements.conditions(APART, Stage.RETIRED))

    assert {each.condition for each in unmet} == {"no_stragglers"}
    assert len(unmet) == 2
    assert all("qlik-bridge stragglers acme" in each.message for each in unmet)


def test_plans_ask_the_tenant_once_a_minute_and_reports_each_time(
    retirements: Retirements, events: FakeEvents, clock: FakeClock
) -> None:
    for wait_s, pages_read in ((0, 1), (30, 1), (31, 2)):
        clock.advance(wait_s)
        list(retirements.conditions(APART, Stage.RETIRED))
        assert events.pages_read == pages_read
    retirements.examine(APART.tenant)
    assert events.pages_read == 3


def test_a_tenant_that_was_given_its_own_provider_is_asked_anew(retirements: Retirements, began: Began) -> None:
    began("idp-sync")
    began("idp-browser", days_ago=20)
    shared = acme(issuer="issuer-sync", key_id="kid-sync")

    assert [each.condition for each in retirements.conditions(shared, Stage.RETIRED)] == ["no_stragglers"]
    assert list(retirements.conditions(APART, Stage.RETIRED)) == []


def test_no_other_move_has_the_condition(retirements: Retirements, events: FakeEvents) -> None:
    events.fail = TenantRefused()
    for stage in Stage:
        if stage is not Stage.RETIRED:
            assert list(retirements.conditions(APART, stage)) == []
    assert list(retirements.conditions(acme(Stage.RETIRED, **SYNC), Stage.RETIRED)) == []


# --- the report ------------------------------------------------------------------------------------------


def test_the_report_says_who_from_where_since_when(retirements: Retirements, uses: FakeJwtUses) -> None:
    uses.note(JwtUse("acme", "alice", PORTAL, START - 2 * DAY, START - 2 * DAY))
    uses.note(JwtUse("acme", "alice", PORTAL, START, START))
    uses.note(JwtUse("acme", "bob", Whence(), START - DAY, START - DAY))

    told = retirements.report(APART.tenant, limit=1).document()

    assert (told["verdict"], told["subjects"]) == ("not_safe", 2)
    assert told["uses"] == [
        {
            "subject": "alice",
            "origin": "https://portal.example",
            "agent": "Chrome",
            "first_seen": "2027-01-13T08:00:00Z",
            "last_seen": "2027-01-15T08:00:00Z",
            "hours": 2,
        }
    ]
    assert [each["origin"] for each in told["origins"]] == ["https://portal.example", ""]
    assert told["sessions"]["told_apart_by"] == "identity_provider"
