"""Parity over a real sandbox: what was planted is found and named, and nothing else."""

import time
from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path
from typing import Any
from uuid import NAMESPACE_URL, uuid5

import pytest
import requests
from storykit import Tenant, change_tenant

from bridge.bootstrap import Bridge
from bridge.errors import NotAllowed
from bridge.evidence import Area, Check, Ignore, Outcome, ParityPlan, ParityResult, RowProbe, Verdict
from bridge.model import Content, Identity, Stage, Subject
from bridge.services.parity_conditions import fresh_parity, no_open_mismatch
from bridge.services.stages import Move


def app_id(name: str) -> str:
    return str(uuid5(NAMESPACE_URL, f"acme/{name}"))


SALES = RowProbe(name="sales by product", app_id=app_id("Retail sales"), dimension="Product", measure="Sum(Sales)")
GROUPS = {"alice": ("Finance", "EMEA"), "bob": ("Sales", "AMER"), "carol": (), "dave": ("Sales",)}


def person(sub: str, groups: Iterable[str] | None = None) -> Identity:
    held = GROUPS.get(sub, ()) if groups is None else groups
    return Identity(Subject(sub, sub.title(), f"{sub}@example.com", frozenset(held)), "demo", "demo", time.time())


@pytest.fixture
def acme(product: Bridge, sandbox: tuple[Tenant, Tenant]) -> Tenant:
    """Acme in shadow, with a probe."""
    change_tenant(product, "acme", content=Content(), parity=ParityPlan(probes=(SALES,)))
    product.stages.move("acme", Move(Stage.SHADOW, "test"))
    sandbox[0].forget_calls()
    return sandbox[0]


def compare(product: Bridge, sub: str, groups: Iterable[str] | None = None) -> ParityResult:
    return product.parity.compare("acme", person(sub, groups))


def differences(result: ParityResult) -> set[tuple[str, str, str]]:
    return {(check.area.value, check.item, check.verdict.value) for check in result.checks if check.is_open}


def found(result: ParityResult, area: Area, item: str) -> Check:
    return next(check for check in result.checks if (check.area, check.item) == (area, item))


class Admin:
    """The tenant's administrator, who plants differences by Qlik's own API."""

    def __init__(self, tenant: Tenant) -> None:
        self.tenant = tenant
        self.headers = tenant.admin()

    def call(self, method: str, path: str, body: object = None) -> Any:  # noqa: ANN401 - whatever Qlik answers
        url = f"{self.tenant.origin}/api/v1/{path}"
        answer = requests.request(method, url, json=body, headers=self.headers, timeout=20)
        assert answer.ok, answer.text
        return answer.json() if answer.content else None

    def user_id(self, sub: str) -> str:
        return str(self.call("GET", f'users?filter=subject eq "{sub}"')["data"][0]["id"])

    def give_groups(self, sub: str, *groups: dict[str, str]) -> None:
        """Replace all groups of somebody, idp ones too."""
        self.tenant.control("POST", "switches", {"idp_groups_patch": "allow", "assigned_groups_replace": "all"})
        patch = [{"op": "replace", "path": "/assignedGroups", "value": list(groups)}]
        self.call("PATCH", f"users/{self.user_id(sub)}", patch)

    def assignment(self, space: str) -> str:
        """Return the path of the one assignment of a space."""
        space_id = next(each["id"] for each in self.call("GET", "spaces")["data"] if each["name"] == space)
        entries = self.call("GET", f"spaces/{space_id}/assignments")["data"]
        return f"spaces/{space_id}/assignments/{entries[0]['id']}"


@pytest.fixture
def admin(acme: Tenant) -> Admin:
    return Admin(acme)


@pytest.mark.usefixtures("acme")
def test_people_whose_access_is_equal_are_proven_and_every_area_is_told(product: Bridge) -> None:
    for sub in ("alice", "bob", "carol"):
        result = compare(product, sub)
        assert (result.outcome, differences(result)) == (Outcome.PROVEN, set()), result.checks
        assert {check.area for check in result.checks} == set(Area)
        assert all(check.verdict is Verdict.SAME for check in result.checks), result.checks


@pytest.mark.usefixtures("acme")
def test_rows_are_counted_as_each_person_sees_them_and_no_value_is_kept(product: Bridge, tmp_path: Path) -> None:
    checks = {sub: found(compare(product, sub), Area.ROWS, SALES.name) for sub in ("alice", "bob", "carol")}

    assert {sub: check.oauth for sub, check in checks.items()} == {
        "alice": "5 rows",
        "bob": "4 rows",
        "carol": "2 rows",
    }
    product.close()
    kept = b"".join(file.read_bytes() for file in tmp_path.glob("bridge.db*"))
    assert b"sales by product" in kept
    assert b"Espresso" not in kept


def test_a_group_that_became_custom_is_named(product: Bridge, admin: Admin) -> None:
    compare(product, "alice")
    admin.call("POST", "groups", {"name": "Finance", "providerType": "custom"})
    admin.give_groups("alice", {"name": "EMEA", "providerType": "idp"}, {"name": "Finance", "providerType": "custom"})

    result = compare(product, "alice")

    assert result.outcome is Outcome.MISMATCH
    assert {("groups", "Finance (idp)", "missing"), ("groups", "Finance (custom)", "extra")} <= differences(result)
    assert "custom instead of idp" in found(result, Area.GROUPS, "Finance (idp)").why
    assert ("spaces", "Finance: consumer", "missing") in differences(result)


def test_a_missing_space_role_is_named(product: Bridge, admin: Admin) -> None:
    compare(product, "alice")
    admin.call("DELETE", admin.assignment("Finance"))

    result = compare(product, "alice")

    assert ("spaces", "Finance: consumer", "missing") in differences(result)
    assert not any(area == "groups" for area, *_ in differences(result))


def test_a_probe_with_fewer_rows_is_named_alone(product: Bridge, acme: Tenant) -> None:
    compare(product, "alice")
    acme.control("POST", "switches", {"group_mode": 1})

    result = compare(product, "alice")

    assert differences(result) == {("rows", SALES.name, "missing")}
    check = found(result, Area.ROWS, SALES.name)
    assert (check.baseline, check.oauth, check.why) == ("5 rows", "2 rows", "3 rows fewer than by JWT")


def test_a_disabled_user_is_named(product: Bridge, admin: Admin) -> None:
    compare(product, "bob")
    patch = [{"op": "replace", "path": "/status", "value": "disabled"}]
    admin.call("PATCH", f"users/{admin.user_id('bob')}", patch)

    disabled = compare(product, "bob")
    never_active = compare(product, "dave")

    for result in (disabled, never_active):
        assert differences(result) == {("token", "impersonation token", "missing")}
        assert "subject_not_provisioned" in found(result, Area.TOKEN, "impersonation token").why


def test_a_closed_app_is_named(product: Bridge, admin: Admin) -> None:
    compare(product, "alice")
    admin.call("PUT", admin.assignment("Finance"), {"roles": ["dataconsumer"]})

    result = compare(product, "alice")

    assert ("apps", "Ledger opens", "missing") in differences(result)
    assert found(result, Area.APPS, "Ledger opens").why == "the app is closed to this person"


def test_a_group_that_neither_path_has_is_named(product: Bridge, admin: Admin) -> None:
    """Only the portal's word shows it: both credentials read alike."""
    admin.call("PATCH", "groups/settings", [{"op": "replace", "path": "/autoCreateGroups", "value": False}])

    result = compare(product, "alice")

    assert {("groups", "Finance (idp)", "missing"), ("groups", "EMEA (idp)", "missing")} == differences(result)
    check = found(result, Area.GROUPS, "Finance (idp)")
    assert (check.expected, check.baseline, check.oauth) == ("yes", "no", "no")


def test_a_difference_with_a_reason_does_not_count(product: Bridge, acme: Tenant) -> None:
    compare(product, "alice")
    acme.control("POST", "switches", {"group_mode": 1})
    ignore = Ignore(area=Area.ROWS, item="sales *", reason="reloaded with custom groups on Monday")
    change_tenant(product, "acme", parity=ParityPlan(probes=(SALES,), ignores=(ignore,)))

    result = compare(product, "alice")

    assert result.outcome is Outcome.PROVEN
    check = found(result, Area.ROWS, SALES.name)
    assert (check.verdict, check.ignored) == (Verdict.MISSING, "reloaded with custom groups on Monday")


def test_without_a_baseline_nothing_is_proven(product: Bridge, acme: Tenant) -> None:
    """On the OAuth path no baseline is taken by itself: it would be a copy of what is to be proven."""
    product.stages.move("acme", Move(Stage.ROLLOUT, "test", percentage=100, force=True, reason="test"))

    first = compare(product, "alice")
    product.parity.take_baseline("acme", person("alice"))
    then = compare(product, "alice")

    assert (first.outcome, first.baseline_at, then.outcome) == (Outcome.UNPROVEN, None, Outcome.PROVEN)
    assert "--baseline" in found(first, Area.SPACES, "").why
    assert acme.calls("/login/jwt-session").count("/login/jwt-session") == 2


def test_a_baseline_that_fits_is_never_taken_anew(product: Bridge, acme: Tenant) -> None:
    at = compare(product, "alice").baseline_at
    acme.forget_calls()

    assert compare(product, "alice").baseline_at == at
    assert acme.calls("/login/jwt-session", "/oauth/token") == []


def test_other_groups_need_another_baseline(product: Bridge, acme: Tenant) -> None:
    first = compare(product, "alice").baseline_at
    assert compare(product, "alice", ("Sales",)).outcome is Outcome.PROVEN
    product.stages.move("acme", Move(Stage.ROLLOUT, "test", percentage=100, force=True, reason="test"))
    after = compare(product, "alice", ("Sales", "AMER"))

    assert first is not None
    assert after.outcome is Outcome.UNPROVEN
    assert "facts changed" in found(after, Area.SPACES, "").why
    assert acme.calls("/login/jwt-session").count("/login/jwt-session") == 3


def test_older_facts_are_never_written(product: Bridge, acme: Tenant) -> None:
    """The newest identity row counts, whatever a caller brings along."""
    compare(product, "alice", ("Finance",))
    old = replace(person("alice", ("Sales",)), asserted_at=time.time() - 3600)

    result = product.parity.compare("acme", old)

    assert result.outcome is Outcome.PROVEN
    groups = next(user["groups"] for user in acme.state()["users"] if user["subject"] == "alice")
    assert [name for name in groups if not name.startswith("com.qlik")] == ["Finance"]


def test_who_may_not_use_the_tenant_is_not_created_there(product: Bridge, acme: Tenant) -> None:
    change_tenant(product, "acme", required_group="Finance")

    with pytest.raises(NotAllowed):
        compare(product, "bob")

    assert acme.calls() == []


def test_an_outage_neither_hides_a_mismatch_nor_undoes_a_proof(product: Bridge, acme: Tenant, admin: Admin) -> None:
    compare(product, "alice")
    compare(product, "bob")
    admin.call("DELETE", admin.assignment("Finance"))
    assert compare(product, "alice").outcome is Outcome.MISMATCH
    acme.control("POST", "faults", {"endpoint": "/api/v1/users/*", "status": 503, "times": 4})

    assert {compare(product, sub).outcome for sub in ("alice", "bob")} == {Outcome.UNPROVEN}

    stored = {sub: product.parity.result("acme", sub) for sub in ("alice", "bob")}
    assert {sub: each and each.outcome for sub, each in stored.items()} == {
        "alice": Outcome.MISMATCH,
        "bob": Outcome.PROVEN,
    }


def test_what_cannot_be_read_is_never_passed_over(product: Bridge, acme: Tenant) -> None:
    compare(product, "alice")
    acme.control("POST", "faults", {"endpoint": "/api/v1/spaces", "status": 500, "times": 2})
    acme.control("POST", "faults", {"endpoint": f"/app/{SALES.app_id}/identity/*", "drop": "before", "times": 2})

    result = compare(product, "alice")

    assert result.outcome is Outcome.UNPROVEN
    assert {(check.area, check.item) for check in result.gaps} == {
        (Area.SPACES, ""),
        (Area.APPS, "Retail sales opens"),
        (Area.ROWS, SALES.name),
    }


@pytest.mark.usefixtures("acme")
def test_a_probe_that_does_not_fit_the_app_is_not_a_silent_pass(product: Bridge) -> None:
    wrong = SALES.model_copy(update={"dimension": "No such field"})
    change_tenant(product, "acme", parity=ParityPlan(probes=(wrong,)))

    result = compare(product, "alice")

    assert result.outcome is Outcome.UNPROVEN
    assert found(result, Area.ROWS, SALES.name).why == "the probe's dimension or measure is not of the app"


def test_no_websocket_or_token_request_is_left_behind(product: Bridge, acme: Tenant) -> None:
    """One login, one mint: what a person's parity costs of the tier that pages need too."""
    compare(product, "alice")

    assert sorted(acme.calls("/login/jwt-session", "/oauth/token")) == ["/login/jwt-session", "/oauth/token"]
    give_up = time.monotonic() + 30
    while acme.state()["sockets"]:
        assert time.monotonic() < give_up


def test_a_tenant_moves_on_when_enough_people_are_proven(product: Bridge, admin: Admin) -> None:
    change_tenant(product, "acme", parity=ParityPlan(probes=(SALES,), subjects_needed=2))
    state = product.tenants.get("acme")

    def unmet(to: Stage) -> list[str]:
        conditions = (fresh_parity(product.parity), no_open_mismatch(product.parity))
        return [each.condition for condition in conditions for each in condition(state, to)]

    assert unmet(Stage.ROLLOUT) == ["fresh_parity"]
    assert unmet(Stage.LEGACY) == unmet(Stage.SHADOW) == []
    compare(product, "alice")
    compare(product, "bob")
    assert unmet(Stage.ROLLOUT) == []
    proven_under = state
    change_tenant(product, "acme", parity=ParityPlan(probes=(), subjects_needed=2))
    state = product.tenants.get("acme")
    assert unmet(Stage.ROLLOUT) == ["fresh_parity"], "nobody was compared under these probes"
    state = proven_under
    assert unmet(Stage.ROLLOUT) == []
    admin.call("DELETE", admin.assignment("Finance"))
    compare(product, "alice")
    assert unmet(Stage.ROLLOUT) == ["fresh_parity", "no_open_mismatch"]
