"""The dry run: whom and what the first logins would create, in words that decide."""

from fakes import FakeDirectory, FakeQlik
from samples import identity, tenant

from bridge.licences import Allotment, Licences
from bridge.services.shadow_plan import ShadowPlan, ShadowPlans

ACME = tenant(management_client={"id": "manager", "secret": "hush"})
PEOPLE = [identity("alice", "Finance", "EMEA"), identity("bob", "Sales", "EMEA"), identity("dave")]


def plan(qlik: FakeQlik, directory: FakeDirectory) -> ShadowPlan:
    return ShadowPlans(directory, qlik).plan(ACME, PEOPLE)


def test_it_names_who_and_what_would_be_created(qlik: FakeQlik) -> None:
    directory = FakeDirectory({"alice": "active", "dave": "disabled"}, {"Finance": "idp", "Sales": "custom"})
    found = plan(qlik, directory)

    assert (found.known_users, found.new_users, found.inactive_users) == (2, ["bob"], ["dave"])
    assert (found.new_groups, found.other_groups) == (["EMEA"], ["Sales"])
    assert found.sentences()[:5] == [
        "1 users would be created, 2 are there.",
        "1 users are not active: they get no token.",
        "1 groups would be created.",
        "1 groups are there, but not as idp groups: a login cannot fill them.",
        "Whether new users take licences is not known: the tenant does not tell this client.",
    ]


def test_each_person_and_each_group_is_asked_for_once_and_nothing_is_changed(qlik: FakeQlik) -> None:
    directory = FakeDirectory()
    rests: list[int] = []
    ShadowPlans(directory, qlik).plan(ACME, PEOPLE, lambda: rests.append(1))

    assert [call[0] for call in directory.calls] == ["user_status"] * 3 + ["group_kind"] * 3 + ["licences"]
    assert len(rests) == 6
    assert qlik.names() == ["auto_creates_groups"]


def test_groups_that_the_tenant_will_not_create_are_said(qlik: FakeQlik) -> None:
    qlik.auto_creates = False

    assert any("does not create groups" in each for each in plan(qlik, FakeDirectory()).sentences())


def test_licences_as_far_as_the_tenant_tells() -> None:
    both = Licences(True, False, (Allotment("analyzer", 50, 48),))

    assert both.sentences(7) == [
        "7 new users can each take a licence (analyzer) at first use.",
        "Licences analyzer: 48 of 50 are taken.",
    ]
    assert "assign them" in Licences(False, False).sentences(7)[0]
    assert "not known" in Licences(None, True).sentences(7)[0]
