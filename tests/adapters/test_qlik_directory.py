"""Looking people, groups and licences up with the management client."""

from urllib.parse import parse_qs, urlsplit

import pytest
from fakes import FakeClock, FakeKeys
from scripted import Reply, ScriptedTenant

from bridge.adapters.qlik_directory import HttpDirectory
from bridge.errors import TenantGarbled, TenantRefused
from bridge.licences import Allotment, Licences
from bridge.model import Tenant

TOKEN = Reply(200, {"access_token": "management", "token_type": "bearer", "expires_in": 3600})
SETTINGS, OVERVIEW = "/api/v1/licenses/settings", "/api/v1/licenses/overview"


@pytest.fixture
def here(scripted: ScriptedTenant, acme: Tenant) -> Tenant:
    scripted.answers["/oauth/token"] = TOKEN
    return acme.model_copy(update={"host": scripted.host})


@pytest.fixture
def directory(clock: FakeClock) -> HttpDirectory:
    return HttpDirectory(FakeKeys(), clock)


def filters(scripted: ScriptedTenant, path: str) -> list[str]:
    asked = [urlsplit(each.path) for each in scripted.seen]
    return [parse_qs(each.query)["filter"][0] for each in asked if each.path == path]


def listing(*entries: dict[str, object]) -> Reply:
    return Reply(200, {"data": list(entries), "links": {}})


def test_a_user_is_found_byte_for_byte(directory: HttpDirectory, scripted: ScriptedTenant, here: Tenant) -> None:
    scripted.answers["/api/v1/users"] = listing(
        {"subject": "ALICE", "status": "disabled"}, {"subject": "alice", "status": "active"}
    )

    assert directory.user_status(here, "alice") == "active"
    assert directory.user_status(here, "Alice") is None
    assert filters(scripted, "/api/v1/users") == ['subject eq "alice"', 'subject eq "Alice"']


def test_quotes_stay_inside_the_question(directory: HttpDirectory, scripted: ScriptedTenant, here: Tenant) -> None:
    scripted.answers["/api/v1/users"] = listing()
    directory.user_status(here, 'a" or status eq "active\\')

    assert filters(scripted, "/api/v1/users") == ['subject eq "a\\" or status eq \\"active\\\\"']


def test_a_group_says_where_it_comes_from(directory: HttpDirectory, scripted: ScriptedTenant, here: Tenant) -> None:
    scripted.answers["/api/v1/groups"] = listing({"name": "Finance", "providerType": "custom"})

    assert directory.group_kind(here, "Finance") == "custom"
    assert directory.group_kind(here, "finance") is None


def test_licences_as_the_tenant_tells_them(directory: HttpDirectory, scripted: ScriptedTenant, here: Tenant) -> None:
    scripted.answers[SETTINGS] = Reply(200, {"autoAssignAnalyzer": True, "autoAssignProfessional": False})
    allotments = [{"name": "analyzer", "units": 50, "unitsUsed": 48}, {"name": "odd"}, "odd"]
    scripted.answers[OVERVIEW] = Reply(200, {"allotments": allotments})

    assert directory.licences(here) == Licences(True, False, (Allotment("analyzer", 50, 48),))


@pytest.mark.parametrize("reply", [Reply(404), Reply(403), Reply(200, ["no object"]), Reply(200, {"other": 1})])
def test_a_tenant_that_tells_nothing_is_no_error(
    directory: HttpDirectory, scripted: ScriptedTenant, here: Tenant, reply: Reply
) -> None:
    scripted.answers |= {SETTINGS: reply, OVERVIEW: reply}

    assert directory.licences(here) == Licences()


def test_a_list_that_is_none_is_garbled(directory: HttpDirectory, scripted: ScriptedTenant, here: Tenant) -> None:
    scripted.answers["/api/v1/users"] = Reply(200, {"data": "none"})
    with pytest.raises(TenantGarbled):
        directory.user_status(here, "alice")


def test_without_a_management_client_nothing_can_be_asked(directory: HttpDirectory, here: Tenant) -> None:
    with pytest.raises(TenantRefused):
        directory.user_status(here.model_copy(update={"management_client": None}), "alice")
