"""The contract of ports.TenantStore, over every implementation."""

import threading
from concurrent.futures import ThreadPoolExecutor
from contextlib import nullcontext
from dataclasses import replace

import pytest
from fakes import FakeClock
from sqlalchemy import update
from stores import Stores, cached_stores, sql_stores

from bridge.adapters.sql import Database
from bridge.adapters.sql.tables import TENANTS
from bridge.adapters.vault import Vault
from bridge.errors import Conflict, UnknownTenant, UnreadableTenant
from bridge.guarding import Guardrails, Rule
from bridge.model import AuditEvent, Cohorts, Rollout, Stage, Tenant, TenantState
from bridge.plan import Kill, Pause, Ramp, Wait, read_steps

START = Rollout(Stage.SHADOW, 12.5, Cohorts(frozenset({"o'neil\"\\"}), frozenset({"Ünïcode 🦊"})), 3)


def test_a_saved_tenant_comes_back_whole(stores: Stores, acme: Tenant, event: AuditEvent) -> None:
    stores.tenants.save(acme, starting_at=START, event=event)
    assert stores.tenants.get("acme") == TenantState(acme, START, revision=1)
    assert stores.tenants.all() == {"acme": TenantState(acme, START, revision=1)}
    found = stores.tenants.get("acme").tenant.issuing_client
    assert found is not None
    assert found.secret is not None
    assert found.secret.get_secret_value() == "issuing-s3cret"


def test_an_unknown_tenant_is_said_to_be_unknown(stores: Stores, event: AuditEvent) -> None:
    assert stores.tenants.all() == {}
    with pytest.raises(UnknownTenant):
        stores.tenants.get("acme")
    with pytest.raises(UnknownTenant):
        stores.tenants.move("acme", before=Rollout(), after=Rollout(Stage.SHADOW), event=event)


def test_saving_again_replaces_the_tenant_and_leaves_the_rollout(
    stores: Stores, acme: Tenant, event: AuditEvent
) -> None:
    stores.tenants.save(acme, starting_at=START, event=event)
    renamed = acme.model_copy(update={"name": "Acme & Söhne", "issuing_client": None})
    stores.tenants.get("acme")
    stores.tenants.save(renamed, starting_at=Rollout(), event=event)
    assert stores.tenants.get("acme") == TenantState(renamed, START, revision=2)


def test_a_move_gives_the_next_revision(stores: Stores, acme: Tenant, event: AuditEvent) -> None:
    stores.tenants.save(acme, starting_at=START, event=event)
    moved = stores.tenants.move("acme", before=START, after=Rollout(Stage.ROLLOUT, 50), event=event)
    assert moved == Rollout(Stage.ROLLOUT, 50, revision=4)
    assert stores.tenants.get("acme").rollout == moved


def test_a_move_from_an_old_revision_conflicts(stores: Stores, acme: Tenant, event: AuditEvent) -> None:
    stores.tenants.save(acme, starting_at=START, event=event)
    moved = stores.tenants.move("acme", before=START, after=Rollout(Stage.ROLLOUT, 50), event=event)
    with pytest.raises(Conflict):
        stores.tenants.move("acme", before=START, after=Rollout(Stage.LEGACY), event=event)
    assert stores.tenants.get("acme").rollout == moved


def test_a_ramp_and_a_kill_switch_come_back_whole(stores: Stores, acme: Tenant, event: AuditEvent) -> None:
    ramp = Ramp(read_steps("12.5 % for 90 min, 100 %"), 1, 1_800_000_000.25, Pause("erin", "lunch", 1_800_000_001.5))
    planned = replace(
        START,
        ramp=replace(ramp, wait=Wait("acme is away", 1_800_000_001.75)),
        kill=Kill("erin", "Qlik is down", 1_800_000_002.75),
    )
    stores.tenants.save(acme, starting_at=START, event=event)
    moved = stores.tenants.move("acme", before=START, after=planned, event=event)
    assert stores.tenants.get("acme").rollout == moved == replace(planned, revision=4)
    stores.tenants.move("acme", before=moved, after=replace(moved, ramp=None, kill=None), event=event)
    assert stores.tenants.get("acme").rollout == replace(START, revision=5)


def test_the_kill_switch_of_all_is_on_every_tenant(stores: Stores, acme: Tenant, event: AuditEvent) -> None:
    stores.tenants.save(acme, starting_at=START, event=event)
    assert stores.tenants.kill_all() is None
    kill = Kill("erin", "Qlik is down", 1_800_000_000.5, everywhere=True)
    stores.tenants.set_kill_all(kill, before=None, event=event)
    assert stores.tenants.kill_all() == kill
    assert stores.tenants.get("acme") == TenantState(acme, START, kill, 1)
    assert stores.tenants.all()["acme"].kill == kill
    stores.tenants.set_kill_all(None, before=kill, event=event)
    assert stores.tenants.kill_all() is None
    assert stores.tenants.get("acme").kill is None


def test_the_kill_switch_of_all_is_switched_by_one_alone(stores: Stores, event: AuditEvent) -> None:
    first, second = (Kill("erin", reason, 1_800_000_000.5, everywhere=True) for reason in ("first", "second"))
    for before in (first, None):
        with nullcontext() if before is None else pytest.raises(Conflict):
            stores.tenants.set_kill_all(first, before=before, event=event)
    for kill, before in ((second, None), (None, second), (None, None)):
        with pytest.raises(Conflict):
            stores.tenants.set_kill_all(kill, before=before, event=event)
    assert stores.tenants.kill_all() == first


def test_of_many_who_switch_all_at_once_one_wins(stores: Stores, event: AuditEvent) -> None:
    together = threading.Barrier(4)

    def switch(name: str) -> bool:
        together.wait(10)
        try:
            stores.tenants.set_kill_all(Kill(name, "x", 1.0, everywhere=True), before=None, event=event)
        except Conflict:
            return False
        return True

    with ThreadPoolExecutor(4) as pool:
        assert sum(pool.map(switch, "abcd")) == 1


def test_a_change_for_an_old_revision_conflicts_and_leaves_no_trace(
    stores: Stores, acme: Tenant, event: AuditEvent
) -> None:
    stores.tenants.save(acme, starting_at=START, event=event, seen=0)
    stores.tenants.save(acme.model_copy(update={"name": "First"}), starting_at=START, event=event, seen=1)
    for seen in (0, 1, 3):
        with pytest.raises(Conflict):
            stores.tenants.save(acme.model_copy(update={"name": "Late"}), starting_at=START, event=event, seen=seen)
    with pytest.raises(Conflict):
        stores.tenants.save(acme.model_copy(update={"slug": "gone"}), starting_at=START, event=event, seen=1)

    assert list(stores.tenants.all()) == ["acme"]
    assert stores.tenants.get("acme").tenant.name == "First"
    stores.tenants.save(acme, starting_at=START, event=event, seen=2)
    assert stores.tenants.get("acme").revision == 3


def infinite(tenant: Tenant) -> Tenant:
    """Return what no document can hold, past every check."""
    rule = Rule.model_construct(threshold=float("inf"), window_s=600, minimum=10, action="pause")
    return tenant.model_copy(update={"guardrails": Guardrails().model_copy(update={"throttled": rule})})


def test_what_could_not_be_read_again_is_not_kept(stores: Stores, acme: Tenant, event: AuditEvent) -> None:
    stores.tenants.save(acme, starting_at=START, event=event)
    with pytest.raises(UnreadableTenant, match=r"acme cannot be read: guardrails\.throttled\.threshold"):
        stores.tenants.save(infinite(acme), starting_at=START, event=event)

    assert stores.tenants.get("acme") == TenantState(acme, START, revision=1)
    assert stores.tenants.unreadable() == {}


BROKEN: dict[str, tuple[dict[str, object], str]] = {
    "document": ({"document": {"slug": "acme", "portal_hosts": ["a.example.com", 5]}}, "name: Field required"),
    "no document": ({"document": [1]}, "not of this version"),
    "stage": ({"stage": "launch"}, "not of this version"),
}


@pytest.mark.parametrize("kind", ["sql", "cached"])
@pytest.mark.parametrize("what", BROKEN)
def test_one_bad_row_takes_no_other_tenant_down(
    database: Database, vault: Vault, clock: FakeClock, acme: Tenant, event: AuditEvent, kind: str, what: str
) -> None:
    tenants = (sql_stores if kind == "sql" else cached_stores)(database, vault, clock).tenants
    globex = acme.model_copy(update={"slug": "globex"})
    for each in (acme, globex):
        tenants.save(each, starting_at=START, event=event)
    broken, problem = BROKEN[what]
    with database.writing() as connection:
        connection.execute(update(TENANTS).where(TENANTS.c.slug == "acme").values(**broken))

    assert list(tenants.all()) == ["globex"]
    assert problem in tenants.unreadable()["acme"].problem
    assert tenants.unreadable()["acme"].portal_hosts == ({"a.example.com"} if what == "document" else frozenset())
    for fresh in (False, True):
        with pytest.raises(UnreadableTenant, match="acme cannot be read"):
            tenants.get("acme", fresh=fresh)
    kill = Kill("erin", "Qlik is down", 1_800_000_000.5, everywhere=True)
    tenants.set_kill_all(kill, before=None, event=event)
    assert tenants.get("globex").kill == kill
    if what != "stage":  # that is in a column of its own, which no declaration replaces
        tenants.save(acme, starting_at=Rollout(), event=event)
        assert tenants.get("acme") == TenantState(acme, START, kill, 2)
        assert tenants.unreadable() == {}
