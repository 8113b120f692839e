"""Who may sign in to the demo."""

import pytest
from fakes import FakeClock
from scripted import Reply, ScriptedTenant

from bridge.adapters.sandbox_people import SandboxPeople, is_sandbox
from bridge.adapters.wire import Patience
from bridge.errors import TenantError, TenantGarbled, TenantUnavailable
from bridge.model import Identity, Subject

ALICE = {
    "name": "alice",
    "subject": "sandbox|alice",
    "display_name": "Alice Example",
    "email": "alice@example.com",
    "groups": ["Finance", "EMEA"],
    "disabled": False,
}
STATE = "/_sandbox/state"


def test_everyone_can_sign_in(scripted: ScriptedTenant, clock: FakeClock) -> None:
    scripted.answers[STATE] = Reply(document={"people": [ALICE], "clients": []})
    subject = Subject("sandbox|alice", "Alice Example", "alice@example.com", frozenset({"Finance", "EMEA"}))
    assert SandboxPeople(scripted.host, clock).all() == [Identity(subject, "demo", "demo", clock())]


@pytest.mark.parametrize(
    ("reply", "error"),
    [
        (Reply(404), TenantUnavailable),
        (Reply(500), TenantUnavailable),
        (Reply(301, headers=(("Location", "/"),)), TenantUnavailable),
        (Reply(body=b"<html>"), TenantGarbled),
        (Reply(document=[]), TenantGarbled),
        (Reply(document={}), TenantGarbled),
        (Reply(document={"people": {}}), TenantGarbled),
        (Reply(drop=True), TenantUnavailable),
    ],
)
def test_what_is_no_sandbox(scripted: ScriptedTenant, clock: FakeClock, reply: Reply, error: type[TenantError]) -> None:
    scripted.answers[STATE] = reply
    with pytest.raises(error):
        SandboxPeople(scripted.host, clock).all()
    assert not is_sandbox(scripted.host)


@pytest.mark.parametrize("person", ["alice", {}, {**ALICE, "groups": None}])
def test_a_person_of_another_shape(scripted: ScriptedTenant, clock: FakeClock, person: object) -> None:
    scripted.answers[STATE] = Reply(document={"people": [person]})
    with pytest.raises(TenantGarbled):
        SandboxPeople(scripted.host, clock).all()


def test_a_sandbox_is_known_by_its_state(scripted: ScriptedTenant) -> None:
    scripted.answers[STATE] = Reply(document={"people": []})
    assert is_sandbox(scripted.host)
    assert not is_sandbox("http://127.0.0.1:9", patience=Patience(0.2, 0.2, 0.2))
