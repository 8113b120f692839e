"""The tenant's audit events over HTTP: what is asked for, and what answers mean."""

from collections.abc import Callable
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest
from fakes import START, FakeClock, FakeKeys
from scripted import Reply, ScriptedTenant, Seen

from bridge.adapters.qlik_events import HttpTenantEvents
from bridge.errors import TenantGarbled, TenantRefused
from bridge.model import Tenant
from bridge.trail import Kind

TOKEN = {"access_token": "management-token", "token_type": "bearer", "expires_in": 3600}
EVENT = {
    "id": "e-1",
    "eventType": "com.qlik.user-session.begin",
    "eventTime": "2027-01-15T08:00:00.5Z",
    "userId": "u-1",
    "data": {"idpId": "idp-1", "subject": "alice", "recovery": False},
    "extensions": {"originip": "81.2.69.142"},
}


@pytest.fixture
def tenant(acme: Tenant, scripted: ScriptedTenant) -> Tenant:
    scripted.answers["/oauth/token"] = Reply(document=TOKEN)
    return acme.model_copy(update={"host": scripted.host})


@pytest.fixture
def events(clock: FakeClock) -> HttpTenantEvents:
    return HttpTenantEvents(FakeKeys(), clock)


def answering(scripted: ScriptedTenant, path: str, answer: Callable[[dict[str, str]], object]) -> list[dict[str, str]]:
    """Answer a path by its query; return the queries that come."""
    asked: list[dict[str, str]] = []

    class ByPath(dict[str, Any]):
        def get(self, key: str, default: object = None) -> Any:  # noqa: ANN401
            return super().get(urlsplit(key).path, default)

    def reply(seen: Seen) -> Reply:
        asked.append({name: values[0] for name, values in parse_qs(urlsplit(seen.path).query).items()})
        return Reply(document=answer(asked[-1]))

    scripted.answers = ByPath(scripted.answers | {path: reply})
    return asked


def test_a_page_of_events_is_asked_for_by_kind_and_time(
    events: HttpTenantEvents, tenant: Tenant, scripted: ScriptedTenant
) -> None:
    asked = answering(scripted, "/api/v1/audits", lambda _: {"data": [EVENT], "links": {}})
    page = events.page(tenant, Kind.SESSION_BEGIN, since=START - 60, until=START)

    assert asked == [
        {
            "eventType": "com.qlik.user-session.begin",
            "eventTime": "2027-01-15T07:59:00.000Z/2027-01-15T08:00:00.000Z",
            "limit": "100",
        }
    ]
    (event,) = page.events
    assert (event.id, event.at, event.user_id, event.address) == ("e-1", START + 0.5, "u-1", "81.2.69.142")
    assert (event.text("idpId"), event.text("recovery"), event.text("nothing")) == ("idp-1", "", "")
    assert page.following == ""
    assert scripted.seen[-1].headers["Authorization"] == "Bearer management-token"


def test_the_following_page_is_asked_for_at_the_tenant_whatever_the_link_says(
    events: HttpTenantEvents, tenant: Tenant, scripted: ScriptedTenant
) -> None:
    link = {"next": {"href": "https://elsewhere.example/steal?next=c-2&limit=9"}}
    asked = answering(scripted, "/api/v1/audits", lambda _: {"data": [], "links": link})
    first = events.page(tenant, Kind.SESSION_BEGIN, since=START - 60, until=START)
    events.page(tenant, Kind.SESSION_BEGIN, since=START - 60, until=START, cursor=first.following)

    assert first.following == "c-2"
    assert asked[1] == {**asked[0], "next": "c-2"}


@pytest.mark.parametrize(
    "changes",
    [{"data": None}, {"extensions": None}, {"userId": None}, {"eventTime": "2027-01-15T08:00:00"}, {"extensions": {}}],
)
def test_an_event_may_lack_what_is_optional(
    events: HttpTenantEvents, tenant: Tenant, scripted: ScriptedTenant, changes: dict[str, object]
) -> None:
    answering(scripted, "/api/v1/audits", lambda _: {"data": [EVENT | changes]})

    assert len(events.page(tenant, Kind.SESSION_BEGIN, since=0, until=START).events) == 1


@pytest.mark.parametrize(
    "answer",
    [[], {}, {"data": None}, {"data": ["x"]}, {"data": [{**EVENT, "id": None}]}, {"data": [{**EVENT, "eventTime": 7}]}],
)
def test_anything_else_is_garbled(
    events: HttpTenantEvents, tenant: Tenant, scripted: ScriptedTenant, answer: object
) -> None:
    answering(scripted, "/api/v1/audits", lambda _: answer)

    with pytest.raises(TenantGarbled):
        events.page(tenant, Kind.SESSION_BEGIN, since=0, until=START)


def test_providers_are_known_by_issuer_and_key_id_over_all_pages(
    events: HttpTenantEvents, tenant: Tenant, scripted: ScriptedTenant
) -> None:
    def provider(name: str) -> dict[str, object]:
        return {"id": f"idp-{name}", "options": {"issuer": name, "staticKeys": [{"kid": f"kid-{name}"}]}}

    def pages(query: dict[str, str]) -> object:
        if "next" in query:
            return {"data": [provider("two")], "links": {"next": None}}
        others = [{"id": "oidc", "protocol": "OIDC"}, {"id": "odd", "options": {"issuer": "x", "staticKeys": [7]}}]
        return {"data": [provider("one"), *others], "links": {"next": {"href": "?next=2"}}}

    answering(scripted, "/api/v1/identity-providers", pages)

    assert events.provider_ids(tenant) == {("one", "kid-one"): "idp-one", ("two", "kid-two"): "idp-two"}


def test_providers_without_end_are_garbled(events: HttpTenantEvents, tenant: Tenant, scripted: ScriptedTenant) -> None:
    asked = answering(
        scripted, "/api/v1/identity-providers", lambda _: {"data": [], "links": {"next": {"href": "?next=x"}}}
    )
    with pytest.raises(TenantGarbled):
        events.provider_ids(tenant)
    assert len(asked) == 20


def test_without_a_management_client_nothing_is_asked(
    events: HttpTenantEvents, tenant: Tenant, scripted: ScriptedTenant
) -> None:
    with pytest.raises(TenantRefused):
        events.provider_ids(tenant.model_copy(update={"management_client": None}))
    assert scripted.seen == []
