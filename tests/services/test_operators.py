"""Operators: people by group, machines by token."""

from dataclasses import replace

import pytest
from fakes import START, FakeAudit, FakeClock, FakeOperatorTokens
from samples import identity

from bridge.errors import BadRequest, NotSignedIn, StoreError
from bridge.model import AuditEvent
from bridge.roles import Grant, Role
from bridge.services.operators import Operators


@pytest.fixture
def store() -> FakeOperatorTokens:
    return FakeOperatorTokens()


@pytest.fixture
def audit() -> FakeAudit:
    return FakeAudit()


@pytest.fixture
def operators(store: FakeOperatorTokens, audit: FakeAudit, clock: FakeClock) -> Operators:
    return Operators(
        {
            "assertion:bridge-admins": frozenset({Grant(Role.ADMIN)}),
            "demo:bosses": frozenset({Grant(Role.VIEWER), Grant(Role.OPERATOR, "acme")}),
        },
        store,
        audit,
        clock,
    )


@pytest.mark.parametrize(
    ("source", "group", "is_operator"),
    [
        ("assertion", "bridge-admins", True),
        ("demo", "bosses", True),
        ("demo", "bridge-admins", False),
        ("header", "bridge-admins", False),
        ("assertion", "Bridge-Admins", False),
        ("assertion", "assertion:bridge-admins", False),
    ],
)
def test_a_person_is_one_by_source_and_group(
    operators: Operators, source: str, group: str, *, is_operator: bool
) -> None:
    person = replace(identity("erin", group, "Sales"), source=source)

    assert operators.include(person) is is_operator


def test_who_was_vouched_for_at_one_tenant_stays_there(operators: Operators) -> None:
    boss = replace(identity("erin", "bosses"), source="demo")

    assert operators.grants_of(boss) == {Grant(Role.VIEWER), Grant(Role.OPERATOR, "acme")}
    assert operators.grants_of(replace(boss, tenant="acme")) == {
        Grant(Role.VIEWER, "acme"),
        Grant(Role.OPERATOR, "acme"),
    }
    assert operators.grants_of(replace(boss, tenant="globex")) == {Grant(Role.VIEWER, "globex")}


def test_a_token_keeps_its_role_and_tenant(operators: Operators) -> None:
    value = operators.new_token("ci", actor="erin", grant=Grant(Role.OPERATOR, "acme"))

    assert operators.token(value).grant == Grant(Role.OPERATOR, "acme")


def test_without_groups_nobody_is(store: FakeOperatorTokens, audit: FakeAudit, clock: FakeClock) -> None:
    assert not Operators({}, store, audit, clock).include(identity("erin", "bridge-admins", ""))


def test_a_token_is_shown_once_and_known_by_name(operators: Operators, store: FakeOperatorTokens) -> None:
    value = operators.new_token("ci", actor="erin")

    assert operators.token(value).name == "ci"
    assert value.startswith("qbo_")
    assert value.removeprefix("qbo_") not in repr(store.rows)


def test_making_one_leaves_an_audit_event_without_the_value(operators: Operators, audit: FakeAudit) -> None:
    value = operators.new_token("ci", actor="erin")

    after = {"name": "ci", "role": "admin", "tenant": None}
    assert audit.events == [AuditEvent(START, "erin", "operator_token.create", None, "", None, after)]
    assert value not in repr(audit.events)


@pytest.mark.parametrize("value", ["", "qbo_", "qbo_unknown", "qbs_session", "ci"])
def test_foreign_values_are_nobody(operators: Operators, value: str) -> None:
    operators.new_token("ci", actor="erin")

    with pytest.raises(NotSignedIn, match="operators token new"):
        operators.token(value)


def test_the_stored_digest_opens_nothing(operators: Operators, store: FakeOperatorTokens) -> None:
    operators.new_token("ci", actor="erin")
    (kept,) = store.rows

    for value in (kept, f"qbo_{kept}"):
        with pytest.raises(NotSignedIn):
            operators.token(value)


def test_a_store_that_is_away_admits_nobody(operators: Operators, store: FakeOperatorTokens) -> None:
    value = operators.new_token("ci", actor="erin")
    store.broken = True

    with pytest.raises(StoreError):
        operators.token(value)


def test_a_revoked_token_opens_nothing_and_leaves_an_audit_event(operators: Operators, audit: FakeAudit) -> None:
    gone, kept = operators.new_token("ci", actor="erin"), operators.new_token("ops", actor="erin")

    operators.revoke("ci", actor="erin")

    assert [each.name for each in operators.tokens()] == ["ops"]
    assert operators.token(kept).name == "ops"
    with pytest.raises(NotSignedIn):
        operators.token(gone)
    assert audit.events[-1] == AuditEvent(START, "erin", "operator_token.revoke", None, "", {"name": "ci"}, None)


def test_a_name_that_no_token_has_cannot_be_revoked(operators: Operators, audit: FakeAudit) -> None:
    with pytest.raises(BadRequest, match="nobody"):
        operators.revoke("nobody", actor="erin")

    assert audit.events == []


@pytest.mark.parametrize("name", ["", " ", "a b", "ci\n", "../x", "x" * 65])
def test_a_token_has_a_name_that_can_stand_in_an_address(
    operators: Operators, store: FakeOperatorTokens, name: str
) -> None:
    with pytest.raises(BadRequest, match="1 to 64 letters"):
        operators.new_token(name, actor="cli:erin")
    assert not store.rows


def test_a_name_is_taken_once(operators: Operators, audit: FakeAudit) -> None:
    operators.new_token("ci", actor="cli:erin", grant=Grant(Role.VIEWER))

    with pytest.raises(BadRequest, match="choose another name"):
        operators.new_token("ci", actor="cli:erin")
    assert len(audit.events) == 1
