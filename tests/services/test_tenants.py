"""Tenants as declared in a file: mistakes, the plan, what applying it does."""

import tomllib
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from fakes import START, FakeClock, FakeKeys, FakeTenants
from samples import CLIENT, MANAGEMENT, state, tenant, tenant_document

from bridge.errors import ConfigError, StoreError
from bridge.model import AuditEvent, Cohorts, Rollout, Stage, Tenant, TenantState, Unreadable
from bridge.services.tenants import Change, Declared, Difference, Tenants, read_declared

EXAMPLE = Path(__file__).parents[2] / "docs" / "reference" / "tenants.example.toml"
REFERENCE = {"id": "client-acme", "secret": "env:ACME_SECRET"}


def resolve(reference: str) -> str:
    """Know one variable and one file."""
    known = {"env:ACME_SECRET": "hush-issuing", "file:/run/secret": "hush-management"}
    if reference not in known:
        raise ValueError(f"{reference} is not set")
    return known[reference]


def entry(slug: str = "acme", **changes: object) -> dict[str, Any]:
    return {**tenant_document(slug), "issuing_client": REFERENCE, **changes}


def read(*entries: object, **others: object) -> list[Declared]:
    return read_declared({"tenants": list(entries), **others}, resolve)


def mistakes(*entries: object, **others: object) -> tuple[str, ...]:
    with pytest.raises(ConfigError) as refusal:
        read(*entries, **others)
    assert "hush" not in str(refusal.value)
    return refusal.value.mistakes


def only_mistake(*entries: object, **others: object) -> str:
    (mistake,) = mistakes(*entries, **others)
    return mistake


class TestReading:
    def test_a_tenant_starts_in_legacy(self) -> None:
        assert read(entry()) == [Declared(tenant(issuing_client=CLIENT), Rollout(), names_rollout=False)]

    def test_or_where_the_file_says(self) -> None:
        plan = {"stage": "rollout", "percentage": 12.5, "cohorts": {"subjects": ["alice"], "groups": ["Pilots"]}}

        (declared,) = read({**entry(), **plan})

        cohorts = Cohorts(frozenset({"alice"}), frozenset({"Pilots"}))
        assert declared.starting_at == Rollout(Stage.ROLLOUT, 12.5, cohorts)

    def test_secrets_come_from_the_environment_or_a_file(self) -> None:
        (declared,) = read(entry(management_client={"id": "m", "secret": "file:/run/secret"}))

        assert declared.tenant.secrets() == {"issuing_client": "hush-issuing", "management_client": "hush-management"}

    def test_the_documented_example_is_valid(self) -> None:
        declared = read_declared(tomllib.loads(EXAMPLE.read_text()), lambda _: "hush" * 5)

        assert declared

    def test_the_order_of_the_file_is_kept(self) -> None:
        assert [each.tenant.slug for each in read(entry("b"), entry("a"))] == ["b", "a"]


class TestMistakes:
    def test_all_are_listed_at_once(self) -> None:
        found = mistakes(
            entry(host="http://acme.example.com", typo=1, stage="launch", percentage=101),
            entry("globex", issuing_client={"id": "g", "secret": "hush"}),
            "not a table",
            colour="blue",
        )

        assert len(found) == 7
        for wanted in (
            "`colour` is not known here",
            "tenant acme: host: must be https",
            "tenant acme: typo: Extra inputs",
            "tenant acme: stage: Input should be 'legacy'",
            "tenant acme: percentage: Input should be less",
            "tenant globex: issuing_client.secret: write env:NAME or file:PATH",
            "tenant 3: must be a table",
        ):
            assert [wanted in mistake for mistake in found].count(True) == 1

    @pytest.mark.parametrize("secret", ["hush", "", "hush env:ACME_SECRET", "ENV:hush", 1234, ["hush"], {"hush": 1}])
    def test_a_secret_in_the_file_itself_is_refused_and_not_repeated(self, secret: object) -> None:
        mistake = only_mistake(entry(issuing_client={"id": "x", "secret": secret}))

        assert mistake.startswith("tenant acme: issuing_client.secret: write env:NAME or file:PATH")

    @pytest.mark.parametrize("client", ["issuing_client", "management_client"])
    def test_a_reference_that_leads_nowhere_is_named(self, client: str) -> None:
        mistake = only_mistake({**entry(), client: {"id": "x", "secret": "env:NOT_SET"}})

        assert mistake == f"tenant acme: {client}.secret: env:NOT_SET is not set"

    def test_other_mistakes_of_such_a_client_are_listed_too(self) -> None:
        found = mistakes(entry(issuing_client={"secret": "env:NOT_SET", "typo": 1}))

        assert [mistake.split(": ")[1] for mistake in found] == [
            "issuing_client.secret",
            "issuing_client.id",
            "issuing_client.typo",
        ]

    def test_a_client_that_is_no_table_is_not_repeated(self) -> None:
        assert "issuing_client" in only_mistake(entry(issuing_client="hush"))

    def test_a_client_needs_one_credential(self) -> None:
        assert "not both" in only_mistake(entry(issuing_client={**REFERENCE, "key": "k.pem", "key_id": "k"}))
        assert "not both" in only_mistake(entry(issuing_client={"id": "x"}))

    @pytest.mark.parametrize(
        "host",
        [
            "https://acme.example.com/path",
            "https://user:hush@acme.example.com",
            "http://acme.example.com",
            "https://*.example.com",
            "",
        ],
    )
    def test_a_host_is_an_exact_https_origin(self, host: str) -> None:
        assert only_mistake(entry(host=host)).startswith("tenant acme: host: must")

    @pytest.mark.parametrize(
        ("changes", "where"),
        [
            ({"allowed_origins": ["https://ok.example.com", "*"]}, "allowed_origins.1"),
            ({"portal_hosts": ["https://portal.example.com"]}, "portal_hosts.0"),
            ({"group_strategy": "scim"}, "group_strategy"),
            ({"sync_key": "sync.pem"}, "`sync_issuer`, `sync_key_id` and `sync_key` go together"),
            ({"percentage": float("nan")}, "percentage"),
            ({"percentage": float("inf")}, "percentage: Input should be a finite number"),
            ({"guardrails": {"throttled": {"threshold": float("inf")}}}, "guardrails.throttled.threshold"),
            ({"guardrails": {"throttled": {"threshold": float("nan")}}}, "guardrails.throttled.threshold"),
            ({"parity": {"sample_percent": float("inf")}}, "parity.sample_percent: Input should be a finite number"),
            ({"cohorts": {"groups": ["a\x07b"]}}, "cohorts.groups"),
            ({"percentage": "many"}, "percentage"),
            ({"cohorts": {"people": ["alice"]}}, "cohorts.people"),
            ({"cohorts": ["alice"]}, "cohorts"),
            ({"revision": 3}, "revision"),
        ],
        ids=str,
    )
    def test_wrong_fields_are_named(self, changes: dict[str, object], where: str) -> None:
        assert only_mistake({**entry(), **changes}).startswith(f"tenant acme: {where}")

    def test_a_tenant_without_a_slug_is_named_by_its_number(self) -> None:
        nameless = entry()
        del nameless["slug"]

        assert only_mistake(entry("globex"), nameless) == "tenant 2: slug: Field required"

    @pytest.mark.parametrize("document", [{}, {"tenants": []}, {"tenants": {}}, {"tenants": "acme"}])
    def test_a_file_without_tenants_is_a_mistake(self, document: Mapping[str, object]) -> None:
        with pytest.raises(ConfigError, match=r"no \[\[tenants\]\] table"):
            read_declared(document, resolve)

    def test_a_slug_declared_twice(self) -> None:
        assert only_mistake(entry(), entry(host="https://other.example.com")) == "tenant acme: declared twice"

    def test_a_portal_host_of_two_tenants_whatever_its_case(self) -> None:
        mistake = only_mistake(
            entry("acme", portal_hosts=["portal.example.com"]),
            entry("globex", portal_hosts=["Portal.example.com"]),
        )

        assert mistake == "tenant globex: portal host portal.example.com already belongs to acme"

    def test_a_portal_host_named_twice_by_one_tenant_is_harmless(self) -> None:
        assert read(entry(portal_hosts=["portal.example.com", "portal.example.com"]))


class Office:
    """The service over a store, with a guard that forbids one slug."""

    def __init__(self, *known: TenantState) -> None:
        self.store = FakeTenants(*known)
        self.guarded: list[str] = []
        self.service = Tenants(self.store, FakeKeys(missing=["gone.pem"]), FakeClock(), self._guard)

    def _guard(self, each: Tenant) -> None:
        self.guarded.append(each.slug)
        if each.slug == "forbidden":
            raise ConfigError(["tenant forbidden: not here"])

    def plan(self, *declared: Declared) -> list[Change]:
        return self.service.plan(declared)

    def apply(self, *declared: Declared) -> None:
        self.service.apply(self.plan(*declared), actor="erin")


def declared(slug: str = "acme", starting_at: Rollout | None = None, **changes: object) -> Declared:
    return Declared(tenant(slug, **changes), starting_at or Rollout())


class TestPlan:
    def test_a_new_tenant_shows_every_field_that_is_set_with_secrets_masked(self) -> None:
        (change,) = Office().plan(declared())

        shown = {each.field: each.after for each in change.differences}
        assert change.is_new
        assert not change.is_empty
        assert {each.before for each in change.differences} == {None}
        assert shown["host"] == "https://acme.example.com"
        assert (shown["stage"], shown["percent"]) == ("legacy", 0)
        assert (shown["issuing_client.id"], shown["issuing_client.secret"]) == ("client-acme", "(secret)")
        assert not {"management_client", "sync_key", "content.app_id", "cohorts.groups"} & shown.keys()
        assert "hush" not in repr(change)

    def test_an_unchanged_tenant_is_empty(self) -> None:
        (change,) = Office(state(Stage.LEGACY)).plan(declared())

        assert change == Change(declared(), is_new=False, differences=(), note="")
        assert change.is_empty

    def test_changed_fields_show_before_and_after(self) -> None:
        old = state(Stage.LEGACY, name="Old", content={"app_id": "a1"}, allowed_origins=["https://a.example.com"])

        (change,) = Office(old).plan(declared(name="New", content={"sheet_id": "s1"}, sync_max_age_s=60))

        assert set(map(str, change.differences)) == set(
            map(
                str,
                [
                    Difference("name", "Old", "New"),
                    Difference("allowed_origins", ["https://a.example.com"], None),
                    Difference("content.app_id", "a1", None),
                    Difference("content.sheet_id", None, "s1"),
                    Difference("sync_max_age_s", 28_800, 60),
                ],
            )
        )

    @pytest.mark.parametrize(
        ("old", "new", "difference"),
        [
            (CLIENT, {**CLIENT, "secret": "hush2"}, ("issuing_client.secret", "(secret)", "(another secret)")),
            ({"id": "client-acme", "key": "k", "key_id": "i"}, CLIENT, ("issuing_client.secret", None, "(secret)")),
            (CLIENT, {"id": "client-acme", "key": "k", "key_id": "i"}, ("issuing_client.secret", "(secret)", None)),
            (CLIENT, None, ("issuing_client.secret", "(secret)", None)),
        ],
        ids=["another", "added", "taken away", "client taken away"],
    )
    def test_secrets_show_by_presence_alone(
        self, old: object, new: object, difference: tuple[str, str | None, str | None]
    ) -> None:
        (change,) = Office(state(Stage.LEGACY, issuing_client=old)).plan(declared(issuing_client=new))

        assert Difference(*difference) in change.differences
        assert "hush" not in repr(change)

    def test_the_same_secret_is_no_difference(self) -> None:
        old = state(Stage.LEGACY, management_client=MANAGEMENT)

        assert Office(old).plan(declared(management_client=MANAGEMENT))[0].is_empty

    def test_the_stage_of_a_known_tenant_is_left_alone_with_a_note(self) -> None:
        (change,) = Office(state(Stage.ROLLOUT, percentage=12.5)).plan(declared(starting_at=Rollout(Stage.RETIRED)))

        assert change.is_empty
        assert change.note == "stage stays rollout at 12.5 %; move it with `qlik-bridge stage move`"

    def test_the_guard_sees_each_tenant(self) -> None:
        office = Office()
        with pytest.raises(ConfigError, match="not here"):
            office.plan(declared("acme"), declared("forbidden"))

        assert office.guarded == ["acme", "forbidden"]

    def test_a_portal_host_of_a_tenant_that_the_file_does_not_name(self) -> None:
        office = Office(state(slug="globex", portal_hosts=["portal.example.com"]))

        with pytest.raises(ConfigError) as refusal:
            office.plan(declared("acme", portal_hosts=["portal.example.com"]))

        assert refusal.value.mistakes == ("tenant acme: portal host portal.example.com already belongs to globex",)

    def test_a_portal_host_may_move_between_tenants_of_the_file(self) -> None:
        office = Office(state(slug="acme", portal_hosts=["portal.example.com"]), state(slug="globex"))

        assert office.plan(declared("acme"), declared("globex", portal_hosts=["portal.example.com"]))

    def test_a_store_that_is_away(self) -> None:
        office = Office()
        office.store.broken = True

        with pytest.raises(StoreError):
            office.plan(declared())


class TestStart:
    @pytest.mark.parametrize("stage", [Stage.SHADOW, Stage.ROLLOUT, Stage.OAUTH, Stage.RETIRED])
    def test_a_new_tenant_starts_late_only_when_a_move_there_would_have_been_allowed(self, stage: Stage) -> None:
        start = Rollout(stage)
        lacking: dict[str, Any] = {"issuing_client": None, "web_integration_id": None, "signing_key": "gone.pem"}

        assert Office().plan(declared(starting_at=start))[0].is_new
        with pytest.raises(ConfigError) as refusal:
            Office().plan(declared(starting_at=start, **lacking))

        assert len(refusal.value.mistakes) == 3
        assert all(mistake.startswith("tenant acme: ") for mistake in refusal.value.mistakes)

    def test_in_legacy_a_tenant_may_lack_what_only_later_stages_need(self) -> None:
        assert Office().plan(declared(issuing_client=None, signing_key="gone.pem"))[0].is_new

    def test_a_file_that_names_no_stage_leaves_no_note(self) -> None:
        silent = replace(declared(name="Other"), names_rollout=False)

        assert Office(state(Stage.OAUTH)).plan(silent)[0].note == ""


class TestApply:
    def test_a_new_tenant_starts_where_the_file_says(self) -> None:
        office = Office()

        office.apply(declared(starting_at=Rollout(Stage.SHADOW)))

        assert office.store.get("acme") == TenantState(tenant(), Rollout(Stage.SHADOW), revision=1)

    def test_a_known_one_keeps_its_rollout(self) -> None:
        office = Office(state(Stage.OAUTH, percentage=80))

        office.apply(declared(name="New", starting_at=Rollout(Stage.LEGACY)))

        after = office.store.get("acme")
        assert after.tenant.name == "New"
        assert (after.rollout.stage, after.rollout.percentage) == (Stage.OAUTH, 80)

    def test_each_change_leaves_an_audit_event(self) -> None:
        office = Office(state(Stage.LEGACY, name="Old"))

        office.apply(declared(name="New"))

        assert office.store.events == [
            AuditEvent(START, "erin", "tenant.change", "acme", "tenants apply", {"name": "Old"}, {"name": "New"})
        ]

    def test_creation_too_with_secrets_masked(self) -> None:
        office = Office()

        office.apply(declared())

        (event,) = office.store.events
        assert event.after is not None
        assert (event.action, event.after["issuing_client.secret"]) == ("tenant.create", "(secret)")
        assert "hush" not in repr(event)

    def test_a_rotated_secret_is_stored_and_recorded(self) -> None:
        office = Office(state(Stage.LEGACY))

        office.apply(declared(issuing_client={**CLIENT, "secret": "hush-rotated"}))

        assert office.store.get("acme").tenant.secrets() == {"issuing_client": "hush-rotated"}
        assert [event.after for event in office.store.events] == [{"issuing_client.secret": "(another secret)"}]

    def test_a_locked_secret_is_set_again(self) -> None:
        office = Office(TenantState(Tenant.from_documents(tenant().public_document(), None), Rollout(), revision=1))
        assert office.store.get("acme").tenant.locked() == ["issuing_client"]

        office.apply(declared())

        assert office.store.get("acme").tenant == tenant()
        assert [event.after for event in office.store.events] == [{"issuing_client.secret": "(secret)"}]

    def test_another_key_that_is_not_there_is_refused(self) -> None:
        before = state(Stage.OAUTH)
        office = Office(before)
        proof = {"id": CLIENT["id"], "key": "gone.pem", "key_id": "k-2"}

        for change in ({"signing_key": "gone.pem", "key_id": "k-2"}, {"issuing_client": proof}):
            with pytest.raises(ConfigError) as refusal:
                office.apply(declared(**change))
            (mistake,) = refusal.value.mistakes
            assert mistake.startswith("tenant acme: The key gone.pem cannot be used")

        assert office.store.get("acme") == before

    def test_a_key_that_was_missing_before_holds_no_other_change_back(self) -> None:
        office = Office(state(Stage.OAUTH, signing_key="gone.pem"))

        office.apply(declared(signing_key="gone.pem", name="New"))

        assert office.store.get("acme").tenant.name == "New"

    def test_no_change_writes_nothing(self) -> None:
        office = Office(state(Stage.LEGACY))

        office.apply(declared())

        assert office.store.events == []

    def test_tenants_that_the_file_does_not_name_stay(self) -> None:
        office = Office(state(slug="globex"))

        office.apply(declared())

        assert set(office.store.all()) == {"acme", "globex"}

    def test_the_guard_has_the_last_word(self) -> None:
        """Whoever makes a plan of their own does not pass by it."""
        office = Office()
        change = Change(declared("forbidden"), is_new=True, differences=())

        with pytest.raises(ConfigError):
            office.service.apply([change], actor="erin")

        assert office.store.all() == {}


class TestUnreadable:
    """One tenant whose row makes no sense to this version."""

    @pytest.fixture
    def store(self) -> FakeTenants:
        store = FakeTenants(state(slug="globex"))
        store.bad["acme"] = Unreadable("host: must be https")
        return store

    def test_the_plan_says_so_and_replaces_all_of_it(self, store: FakeTenants) -> None:
        (change,) = Tenants(store, FakeKeys(), FakeClock(), lambda _: None).plan(read(entry(stage="oauth")))

        assert (change.is_new, change.is_empty) == (False, False)
        assert "host: must be https" in change.note
        assert Difference("name", None, "Acme") in change.differences
        assert not [each for each in change.differences if each.field == "stage"]

    def test_applying_mends_it_as_a_change(self, store: FakeTenants) -> None:
        tenants = Tenants(store, FakeKeys(), FakeClock(), lambda _: None)
        tenants.apply(tenants.plan(read(entry())), actor="erin")

        assert [(event.action, event.tenant) for event in store.events] == [("tenant.change", "acme")]
        assert store.get("acme").tenant == tenant(issuing_client=CLIENT)

    def test_another_one_is_changed_beside_it(self, store: FakeTenants) -> None:
        tenants = Tenants(store, FakeKeys(), FakeClock(), lambda _: None)
        tenants.apply(tenants.plan(read(entry("globex", name="Globex 2"))), actor="erin")

        assert store.get("globex").tenant.name == "Globex 2"
        assert store.unreadable()
