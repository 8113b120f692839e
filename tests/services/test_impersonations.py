"""Impersonations beside the tenant's own events of them: what can be joined, and what is said of the rest."""

from typing import Any

import pytest
from fakes import START, FakeClock, FakeEvents, FakeImpersonations
from hypothesis import given
from hypothesis import strategies as st
from samples import state

from bridge.errors import TenantRefused
from bridge.model import Stage
from bridge.services import impersonations as module
from bridge.services.impersonations import TOLERANCE_S, ImpersonationJoin, joined
from bridge.services.jwt_sessions import IMPERSONATION
from bridge.trail import Impersonation, Joined, Kind, TenantEvent

DAY = 86_400
ACME = state(Stage.OAUTH).tenant


def minted(token_id: str = "t-1", *, at: float = START - 100, user: str = "u-alice") -> Impersonation:
    return Impersonation(token_id, at, "acme", user.removeprefix("u-"), user, "client-acme", f"request-of-{token_id}")


def told(event_id: str = "e-1", *, at: float = START - 100, user: str = "u-alice", **changes: str) -> TenantEvent:
    data = {"grantType": IMPERSONATION, "issuedToClientId": "client-acme", "resourceOwner": user, "id": "q-1"}
    return TenantEvent(event_id, Kind.TOKEN_ISSUED, at, user, "93.184.216.34", {**data, **changes})


def outcomes(noted: list[Impersonation], events: list[TenantEvent]) -> list[tuple[str, str | None, str | None]]:
    return sorted(
        (pair.joined.value, pair.document()["token_id"], pair.document()["event_id"]) for pair in joined(noted, events)
    )


def test_one_of_each_at_about_the_same_time_belong_together() -> None:
    assert outcomes([minted()], [told(at=START - 100 + TOLERANCE_S)]) == [("joined", "t-1", "e-1")]


def test_what_only_one_side_knows_is_said() -> None:
    assert outcomes([minted()], []) == [("bridge_only", "t-1", None)]
    assert outcomes([], [told()]) == [("tenant_only", None, "e-1")]
    assert outcomes([minted()], [told(at=START + 100)]) == [("bridge_only", "t-1", None), ("tenant_only", None, "e-1")]


def test_two_at_once_are_joined_in_order_and_called_ambiguous() -> None:
    noted = [minted("t-1", at=START), minted("t-2", at=START + 5)]
    events = [told("e-2", at=START + 6), told("e-1", at=START + 1)]

    assert outcomes(noted, events) == [("ambiguous", "t-1", "e-1"), ("ambiguous", "t-2", "e-2")]


def test_a_second_event_of_one_mint_stands_out() -> None:
    """Somebody else has the client's secret."""
    found = outcomes([minted()], [told("e-1"), told("e-2", at=START - 90)])

    assert found == [("ambiguous", "t-1", "e-1"), ("tenant_only", None, "e-2")]


def test_other_people_and_clients_are_not_mixed_up() -> None:
    events = [told("e-1", user="u-bob"), told("e-2", issuedToClientId="another")]

    assert [kind for kind, *_ in outcomes([minted()], events)] == ["bridge_only", "tenant_only", "tenant_only"]


@pytest.mark.parametrize("field", ["resourceOwner", "ownerId"])
def test_the_user_is_found_in_whichever_field_names_them(field: str) -> None:
    """Qlik documents three, and not which of them is the user's."""
    changes: dict[str, Any] = {field: "u-alice"}
    event = told(user="client-acme", **changes)

    assert outcomes([minted()], [event]) == [("joined", "t-1", "e-1")]


@given(
    st.lists(st.tuples(st.sampled_from("ab"), st.integers(0, 300)), max_size=12),
    st.lists(st.tuples(st.sampled_from("ab"), st.integers(0, 300)), max_size=12),
)
def test_nothing_is_lost_or_joined_twice(ours: list[tuple[str, int]], theirs: list[tuple[str, int]]) -> None:
    noted = [minted(f"t-{number}", at=at, user=user) for number, (user, at) in enumerate(ours)]
    events = [told(f"e-{number}", at=at, user=user) for number, (user, at) in enumerate(theirs)]

    pairs = list(joined(noted, events))

    assert sorted(each.impersonation.token_id for each in pairs if each.impersonation) == sorted(
        each.token_id for each in noted
    )
    assert sorted(each.event.id for each in pairs if each.event) == sorted(each.id for each in events)
    for pair in pairs:
        if pair.impersonation and pair.event:
            assert abs(pair.impersonation.at - pair.event.at) <= TOLERANCE_S
            assert pair.impersonation.user_id == pair.event.user_id


# --- the report ------------------------------------------------------------------------------------------


@pytest.fixture
def noted() -> FakeImpersonations:
    return FakeImpersonations()


@pytest.fixture
def events() -> FakeEvents:
    return FakeEvents()


@pytest.fixture
def join(noted: FakeImpersonations, events: FakeEvents, clock: FakeClock) -> ImpersonationJoin:
    return ImpersonationJoin(noted, events, clock)


def test_the_report_is_in_order_and_counts(
    join: ImpersonationJoin, noted: FakeImpersonations, events: FakeEvents
) -> None:
    noted.rows = [minted("t-2", at=START - 50, user="u-bob"), minted("t-1")]
    events.events = [told(), told("e-9", user="u-carol", at=START - 10)]
    report = join.report(ACME, since=START - DAY)

    assert report.counts() == {"joined": 1, "ambiguous": 0, "bridge_only": 1, "tenant_only": 1}
    assert [pair.joined for pair in report.pairs] == [Joined.JOINED, Joined.BRIDGE_ONLY, Joined.TENANT_ONLY]
    first = report.document()["impersonations"][0]
    assert (first["subject"], first["request_id"], first["token_id"]) == ("alice", "request-of-t-1", "t-1")
    assert (first["event_id"], first["tenant_token_id"], first["address"]) == ("e-1", "q-1", "93.184.216.34")


def test_tokens_of_other_grants_and_clients_are_nobodys_business_here(
    join: ImpersonationJoin, events: FakeEvents
) -> None:
    events.events = [told(grantType="token-exchange"), told(issuedToClientId="another")]

    assert join.report(ACME, since=START - DAY).pairs == []


def test_the_edges_of_the_time_do_not_part_what_belongs_together(
    join: ImpersonationJoin, noted: FakeImpersonations, events: FakeEvents
) -> None:
    """The tenant's clock is behind ours at the beginning, and ahead at the end."""
    noted.rows = [minted("t-1", at=START - DAY + 1), minted("t-2", at=START - 1, user="u-bob")]
    events.events = [told("e-1", at=START - DAY - 20), told("e-2", at=START + 20, user="u-bob")]

    assert join.report(ACME, since=START - DAY).counts()["joined"] == 2


def test_of_too_many_events_the_newest_are_joined(
    join: ImpersonationJoin, noted: FakeImpersonations, events: FakeEvents, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "MAX_PAGES", 1)
    events.page_size = 2
    noted.rows = [minted(f"t-{number}", at=START - 1000 * number) for number in range(4)]
    events.events = [told(f"e-{number}", at=START - 1000 * number) for number in range(4)]
    report = join.report(ACME, since=START - DAY)

    assert report.read_since == START - 1000
    assert report.counts() == {"joined": 2, "ambiguous": 0, "bridge_only": 0, "tenant_only": 0}


def test_events_that_cannot_be_read_are_an_error(join: ImpersonationJoin, events: FakeEvents) -> None:
    events.fail = TenantRefused(status=403)

    with pytest.raises(TenantRefused):
        join.report(ACME, since=START - DAY)
