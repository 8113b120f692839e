"""Group sync: when it happens, what it accepts, what a failure may be bridged by."""

import threading
from collections.abc import Callable, Hashable
from concurrent.futures import ThreadPoolExecutor

import pytest
import structlog
from fakes import START, FakeClock, FakeKeys, FakeQlik, FakeSubjects, claims_of
from samples import MANAGEMENT, identity, subject, tenant

from bridge.errors import (
    BridgeError,
    StoreError,
    SubjectNotProvisioned,
    SyncRefused,
    TenantGarbled,
    TenantRefused,
    TenantThrottled,
    TenantTimeout,
    TenantUnavailable,
)
from bridge.model import QlikUser, Subject, SubjectRecord, Tenant
from bridge.ports import Sign
from bridge.services.groups import GroupSync
from bridge.services.signer import Signer
from bridge.telemetry import Metrics

LONG_S = 5
ACME = tenant()
MANAGED = tenant(management_client=MANAGEMENT)
FAILURES = [
    TenantUnavailable(retry_after_s=9),
    TenantThrottled(retry_after_s=9),
    TenantTimeout(),
    TenantGarbled(),
    TenantRefused(status=401),
    TenantRefused(status=400),
]


def named(failure: BridgeError) -> str:
    return f"{failure.code()}-{getattr(failure, 'status', '')}"


class JwtQlik(FakeQlik):
    """Also keeps the JWTs of each login."""

    def __init__(self, clock: FakeClock) -> None:
        super().__init__(clock)
        self.jwts: list[str] = []

    def log_in(self, tenant: Tenant, sign: Sign) -> QlikUser:
        legacy_jwt = sign()
        self.jwts.append(legacy_jwt)
        return super().log_in(tenant, lambda: legacy_jwt)


@pytest.fixture
def qlik(clock: FakeClock) -> JwtQlik:
    return JwtQlik(clock)


def says(qlik: FakeQlik, sub: str, *groups: str, as_subject: str | None = None) -> None:
    """Let the tenant report these groups, whatever the JWT says."""
    qlik.users[sub] = QlikUser(f"id-{sub}", as_subject or sub, frozenset(groups))


def groups_sent(qlik: JwtQlik) -> list[list[str]]:
    return [claims_of(each)["groups"] for each in qlik.jwts]


def syncs(metrics: Metrics, outcome: str) -> float:
    labels = {"tenant": "acme", "outcome": outcome}
    return metrics.registry.get_sample_value("bridge_group_syncs_total", labels) or 0


class TestWhen:
    def test_the_first_time_the_person_is_logged_in(self, groups: GroupSync, qlik: JwtQlik) -> None:
        record = groups.ensure(ACME, identity("alice", "A", "B"))

        assert qlik.calls == [("log_in", "acme", "alice")]
        assert record == SubjectRecord(
            tenant="acme",
            subject=subject("alice", "A", "B"),
            asserted_at=START,
            user_id="id-alice",
            synced_fingerprint=subject("alice", "A", "B").fingerprint(),
            synced_groups=frozenset({"A", "B"}),
            synced_at=START,
        )

    def test_while_fresh_nobody_is_asked_again(self, groups: GroupSync, qlik: JwtQlik, clock: FakeClock) -> None:
        first = groups.ensure(ACME, identity("alice", "A"))
        clock.advance(ACME.sync_max_age_s - 1)

        assert groups.ensure(ACME, identity("alice", "A")) == first
        assert len(qlik.calls) == 1

    def test_a_later_sign_in_with_the_same_facts_needs_no_sync(self, groups: GroupSync, qlik: JwtQlik) -> None:
        groups.ensure(ACME, identity("alice", "A"))
        record = groups.ensure(ACME, identity("alice", "A", at=START + 60))

        assert record.asserted_at == START + 60
        assert len(qlik.calls) == 1

    def test_the_same_facts_are_noted_once_a_second(self, groups: GroupSync, subjects: FakeSubjects) -> None:
        """A trusted proxy asserts them with each request of a page."""
        noted = [
            groups.ensure(ACME, identity("alice", "A", at=START + later)).asserted_at - START
            for later in (0, 0.4, 0.9, 1.2, 2.1, 2.2)
        ]

        assert noted == pytest.approx([0, 0, 0, 1.2, 1.2, 2.2])
        assert subjects.rows["acme", "alice"].asserted_at == START + 2.2

    def test_other_facts_are_noted_at_once_and_older_ones_never(self, groups: GroupSync) -> None:
        groups.ensure(ACME, identity("alice", "A", "Secret"))
        changed = groups.ensure(ACME, identity("alice", "A", at=START + 0.4))
        groups.ensure(ACME, identity("alice", "A", at=START + 0.9))

        assert changed.subject.groups == {"A"}
        assert groups.ensure(ACME, identity("alice", "A", "Secret", at=START + 0.3)).subject.groups == {"A"}

    def test_at_its_greatest_age_a_sync_is_repeated(self, groups: GroupSync, qlik: JwtQlik, clock: FakeClock) -> None:
        groups.ensure(ACME, identity("alice", "A"))
        clock.advance(ACME.sync_max_age_s)

        record = groups.ensure(ACME, identity("alice", "A"))

        assert record.synced_at == clock.now
        assert qlik.names() == ["log_in", "log_in"]

    @pytest.mark.parametrize(
        "later",
        [
            identity("alice", "A", at=START + 1, name="Another Name"),
            identity("alice", "A", at=START + 1, email="another@example.com"),
            identity("alice", "A", "B", at=START + 1),
            identity("alice", at=START + 1),
        ],
        ids=["name", "e-mail", "a group more", "a group less"],
    )
    def test_changed_facts_are_synced_at_once(self, groups: GroupSync, qlik: JwtQlik, later: object) -> None:
        assert isinstance(later, type(identity()))
        groups.ensure(ACME, identity("alice", "A"))

        record = groups.ensure(ACME, later)

        assert record.subject == later.subject
        assert record.synced_groups == later.subject.groups
        assert qlik.names() == ["log_in", "log_in"]

    def test_after_forgetting_it_is_repeated(self, groups: GroupSync, qlik: JwtQlik) -> None:
        groups.ensure(ACME, identity())
        groups.forget(ACME, "alice")

        groups.ensure(ACME, identity())

        assert qlik.names() == ["log_in", "log_in"]

    def test_each_tenant_is_synced_on_its_own(self, groups: GroupSync, qlik: JwtQlik) -> None:
        groups.ensure(ACME, identity())
        groups.ensure(tenant("globex"), identity())

        assert qlik.calls == [("log_in", "acme", "alice"), ("log_in", "globex", "alice")]

    def test_another_worker_may_have_synced_already(
        self, groups: GroupSync, qlik: JwtQlik, subjects: FakeSubjects, clock: FakeClock
    ) -> None:
        """What `note` returned may come from a copy; the row itself is asked before a call is spent."""
        elsewhere = GroupSync(qlik, Signer(FakeKeys(), clock), subjects, clock, Metrics())
        noted = groups.note(ACME, identity("alice", "A"))
        elsewhere.ensure(ACME, identity("alice", "A"))

        record = groups._sync_newest(ACME, noted, ACME.sync_max_age_s, ahead=False)

        assert record.user_id == "id-alice"
        assert len(qlik.calls) == 1


class TestOldSessions:
    def test_an_older_session_never_writes_its_groups_back(
        self, groups: GroupSync, qlik: JwtQlik, subjects: FakeSubjects
    ) -> None:
        old, new = identity("alice", "A", "Secret", at=START), identity("alice", "A", at=START + 10)
        groups.ensure(ACME, old)
        groups.ensure(ACME, new)

        record = groups.ensure(ACME, old)

        assert record.subject == new.subject
        assert groups_sent(qlik) == [["A", "Secret"], ["A"]]
        assert subjects.rows["acme", "alice"].subject == new.subject

    def test_even_when_a_sync_is_due(self, groups: GroupSync, qlik: JwtQlik, clock: FakeClock) -> None:
        old, new = identity("alice", "A", "Secret", at=START), identity("alice", "A", at=START + 10)
        groups.ensure(ACME, new)
        clock.advance(ACME.sync_max_age_s)

        groups.ensure(ACME, old)

        assert groups_sent(qlik) == [["A"], ["A"]]

    def test_noting_the_same_again_writes_nothing(
        self, groups: GroupSync, subjects: FakeSubjects, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        noted = groups.note(ACME, identity())
        monkeypatch.setattr(subjects, "note", lambda *_: pytest.fail("written again"))

        assert groups.note(ACME, identity()) == noted
        assert groups.note(ACME, identity("alice", "Older", at=START - 1)) == noted

    def test_facts_of_the_same_second_are_taken_from_whom_came_last(self, groups: GroupSync, qlik: JwtQlik) -> None:
        """`iat` has whole seconds."""
        groups.ensure(ACME, identity("alice", "A", "B"))
        groups.ensure(ACME, identity("alice", "A"))

        assert groups_sent(qlik) == [["A", "B"], ["A"]]


class TestOutcome:
    def test_extra_groups_are_refused(
        self, groups: GroupSync, qlik: JwtQlik, subjects: FakeSubjects, metrics: Metrics
    ) -> None:
        says(qlik, "alice", "A", "Board")

        with pytest.raises(SyncRefused) as refusal:
            groups.ensure(ACME, identity("alice", "A"))

        assert "Board" in refusal.value.detail
        assert "Board" not in refusal.value.message
        assert subjects.rows["acme", "alice"].synced_at is None
        assert syncs(metrics, "extra_groups") == 1

    def test_a_group_that_differs_by_case_is_extra(self, groups: GroupSync, qlik: JwtQlik) -> None:
        says(qlik, "alice", "finance")

        with pytest.raises(SyncRefused):
            groups.ensure(ACME, identity("alice", "Finance"))

    def test_the_log_names_ten_groups_at_most(self, groups: GroupSync, qlik: JwtQlik) -> None:
        says(qlik, "alice", *[f"group-{number:02}" for number in range(30)])

        with pytest.raises(SyncRefused) as refusal:
            groups.ensure(ACME, identity("alice"))

        assert refusal.value.detail.count("group-") == 10

    def test_another_subject_is_refused(
        self, groups: GroupSync, qlik: JwtQlik, subjects: FakeSubjects, metrics: Metrics
    ) -> None:
        says(qlik, "alice", as_subject="Alice")

        with pytest.raises(SyncRefused, match="another subject"):
            groups.ensure(ACME, identity("alice"))

        assert subjects.rows["acme", "alice"].user_id is None
        assert syncs(metrics, "other_subject") == 1

    @pytest.mark.parametrize(
        ("managed", "setting", "cause"),
        [
            (ACME, True, "no management client"),
            (MANAGED, False, "auto-creation of groups is off in the tenant"),
            (MANAGED, True, "unknown: auto-creation of groups is on"),
            (MANAGED, TenantRefused(status=403), "asking failed: tenant_refused"),
        ],
        ids=["not known", "off", "on", "refused"],
    )
    def test_missing_groups_are_no_obstacle_but_logged_with_the_cause_and_counted(
        self,
        groups: GroupSync,
        qlik: JwtQlik,
        metrics: Metrics,
        managed: Tenant,
        setting: bool | BridgeError,  # noqa: FBT001 - a table's column
        cause: str,
    ) -> None:
        says(qlik, "alice", "A")
        if isinstance(setting, BridgeError):
            qlik.fail["auto_creates_groups"] = [setting]
        else:
            qlik.auto_creates = setting

        with structlog.testing.capture_logs() as logs:
            record = groups.ensure(managed, identity("alice", "A", "B", "C"))

        assert record.synced_groups == {"A"}
        assert [(each["event"], each["groups"]) for each in logs] == [("groups_missing", ["B", "C"])]
        assert cause in logs[0]["cause"]
        assert (syncs(metrics, "missing_groups"), syncs(metrics, "ok")) == (1, 0)

    def test_missing_groups_are_not_synced_again_and_again(self, groups: GroupSync, qlik: JwtQlik) -> None:
        says(qlik, "alice")
        groups.ensure(ACME, identity("alice", "A"))

        groups.ensure(ACME, identity("alice", "A"))

        assert qlik.names() == ["log_in"]

    def test_extra_and_missing_at_once_is_refused(self, groups: GroupSync, qlik: JwtQlik) -> None:
        says(qlik, "alice", "Extra")

        with pytest.raises(SyncRefused):
            groups.ensure(ACME, identity("alice", "Missing"))

    def test_a_good_sync_is_counted(self, groups: GroupSync, metrics: Metrics) -> None:
        groups.ensure(ACME, identity("alice", "A"))

        assert syncs(metrics, "ok") == 1

    def test_three_hundred_groups(self, groups: GroupSync) -> None:
        names = {f"g {number:03}" for number in range(300)}

        assert groups.ensure(ACME, identity("alice", *names)).synced_groups == names

    def test_a_jwt_that_would_be_too_long_is_refused_without_a_call(self, groups: GroupSync, qlik: JwtQlik) -> None:
        groups.ensure(ACME, identity("alice", "A"))
        with pytest.raises(SyncRefused, match="bytes"):
            groups.ensure(ACME, identity("alice", *[f"group {'x' * 30} {n}" for n in range(300)], at=START + 1))

        assert len(qlik.calls) == 1

    def test_odd_subjects(self, groups: GroupSync, qlik: JwtQlik) -> None:
        for sub in ("o'neil\"\\", "名前", "alice", "Alice"):
            assert groups.ensure(ACME, identity(sub, "A")).user_id == f"id-{sub}"

        assert len(qlik.calls) == 4

    def test_subjects_that_differ_by_case_are_two_people(self, groups: GroupSync, qlik: JwtQlik) -> None:
        groups.ensure(ACME, identity("alice", "A"))
        groups.ensure(ACME, identity("Alice", "B"))

        assert groups.ensure(ACME, identity("alice", "A")).synced_groups == {"A"}
        assert groups.ensure(ACME, identity("Alice", "B")).synced_groups == {"B"}
        assert len(qlik.calls) == 2


class TestFailure:
    @pytest.fixture
    def synced(self, groups: GroupSync, qlik: JwtQlik, clock: FakeClock) -> SubjectRecord:
        """Alice with groups A and B, synced so long ago that it is due again."""
        record = groups.ensure(ACME, identity("alice", "A", "B"))
        clock.advance(ACME.sync_max_age_s)
        qlik.calls.clear()
        return record

    @pytest.mark.parametrize("failure", FAILURES, ids=named)
    def test_is_bridged_by_the_last_good_sync_and_says_so(
        self, groups: GroupSync, qlik: JwtQlik, metrics: Metrics, synced: SubjectRecord, failure: BridgeError
    ) -> None:
        qlik.fail["log_in"] = [failure]

        with structlog.testing.capture_logs() as logs:
            assert groups.ensure(ACME, identity("alice", "A", "B")) == synced

        assert [(each["event"], each["error"]) for each in logs] == [
            ("sync_failed_served_on_last_good", failure.code())
        ]
        assert syncs(metrics, failure.code()) == 1
        skipped = "bridge_group_syncs_skipped_on_failure_total"
        assert metrics.registry.get_sample_value(skipped, {"tenant": "acme"}) == 1

    @pytest.mark.parametrize("failure", FAILURES, ids=named)
    def test_is_final_for_somebody_who_was_never_synced(
        self, groups: GroupSync, qlik: JwtQlik, failure: BridgeError
    ) -> None:
        qlik.fail["log_in"] = [failure]

        with pytest.raises(type(failure)):
            groups.ensure(ACME, identity("alice"))

    @pytest.mark.usefixtures("synced")
    def test_is_final_when_a_group_was_taken_away(self, groups: GroupSync, qlik: JwtQlik) -> None:
        qlik.fail["log_in"] = [TenantTimeout()]

        with pytest.raises(TenantTimeout):
            groups.ensure(ACME, identity("alice", "A", "C", at=START + 1))

    @pytest.mark.usefixtures("synced")
    def test_is_bridged_when_a_group_was_added(self, groups: GroupSync, qlik: JwtQlik) -> None:
        qlik.fail["log_in"] = [TenantTimeout()]

        record = groups.ensure(ACME, identity("alice", "A", "B", "C", at=START + 1))

        assert record.synced_groups == {"A", "B"}

    @pytest.mark.usefixtures("synced")
    @pytest.mark.parametrize(
        "failure",
        [TenantTimeout(), TenantThrottled(tier=1), TenantRefused(status=401), TenantRefused(status=404)],
        ids=named,
    )
    def test_a_login_that_may_have_arrived_may_have_brought_its_groups(
        self, groups: GroupSync, qlik: JwtQlik, failure: BridgeError
    ) -> None:
        """Back to the old facts: the tenant may show the group of the lost login, so they are not synced."""
        qlik.fail["log_in"] = [failure, TenantTimeout()]
        groups.ensure(ACME, identity("alice", "A", "B", "C", at=START + 1))

        with pytest.raises(TenantTimeout):
            groups.ensure(ACME, identity("alice", "A", "B", at=START + 2))
        record = groups.ensure(ACME, identity("alice", "A", "B", at=START + 2))

        assert groups_sent(qlik)[-2:] == [["A", "B"], ["A", "B"]]
        assert record.synced_groups == {"A", "B"}

    @pytest.mark.usefixtures("synced")
    def test_an_outage_is_bridged_again_and_again_but_written_once(
        self, groups: GroupSync, qlik: JwtQlik, subjects: FakeSubjects, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        written: list[frozenset[str]] = []
        note = subjects.note_unclear_sync

        def counted(slug: str, subject: Subject) -> None:
            written.append(subject.groups)
            note(slug, subject)

        monkeypatch.setattr(subjects, "note_unclear_sync", counted)
        qlik.fail["log_in"] = [TenantTimeout()] * 3

        for _ in range(3):
            groups.ensure(ACME, identity("alice", "A", "B", "C", at=START + 1))

        assert (written, qlik.names()) == ([frozenset("ABC")], ["log_in"] * 3)

    @pytest.mark.usefixtures("synced")
    def test_a_bridged_sync_is_tried_again_with_the_next_request(self, groups: GroupSync, qlik: JwtQlik) -> None:
        qlik.fail["log_in"] = [TenantTimeout()]
        groups.ensure(ACME, identity("alice", "A", "B"))

        groups.ensure(ACME, identity("alice", "A", "B"))

        assert qlik.names() == ["log_in", "log_in"]

    @pytest.mark.usefixtures("synced")
    def test_is_final_while_the_memberships_are_unknown(self, groups: GroupSync, qlik: JwtQlik) -> None:
        """A browser that logged in by itself may have brought groups that our last sync did not see."""
        groups.forget(ACME, "alice")
        qlik.fail["log_in"] = [TenantTimeout()]

        with pytest.raises(TenantTimeout):
            groups.ensure(ACME, identity("alice", "A", "B"))

    @pytest.mark.usefixtures("synced")
    def test_a_disabled_user_is_refused(self, groups: GroupSync, qlik: JwtQlik, metrics: Metrics) -> None:
        qlik.fail["log_in"] = [TenantRefused(status=403, detail="disabled")]

        with pytest.raises(SubjectNotProvisioned) as refusal:
            groups.ensure(ACME, identity("alice", "A", "B"))

        assert refusal.value.detail == "disabled"
        assert syncs(metrics, "tenant_refused") == 1

    @pytest.mark.usefixtures("synced")
    @pytest.mark.parametrize("refusal", ["disabled", "extra", "stranger"])
    def test_after_a_refusal_no_failure_is_bridged_by_what_was_good_before(
        self, groups: GroupSync, qlik: JwtQlik, refusal: str
    ) -> None:
        """The tenant's last word counts: it must not be forgotten because the next question fails."""
        if refusal == "disabled":
            qlik.fail["log_in"] = [TenantRefused(status=403)]
        elif refusal == "extra":
            says(qlik, "alice", "A", "B", "Board")
        else:
            says(qlik, "alice", "A", "B", as_subject="Alice")
        with pytest.raises((SubjectNotProvisioned, SyncRefused)):
            groups.ensure(ACME, identity("alice", "A", "B"))

        qlik.fail["log_in"] = [TenantTimeout()]
        with pytest.raises(TenantTimeout):
            groups.ensure(ACME, identity("alice", "A", "B"))

    def test_a_lost_connection_is_tried_once_more_with_a_fresh_jwt(self, groups: GroupSync, qlik: JwtQlik) -> None:
        qlik.fail["log_in"] = [TenantUnavailable()]

        groups.ensure(ACME, identity())

        ids = [claims_of(each)["jti"] for each in qlik.jwts]
        assert len(ids) == 2
        assert len(set(ids)) == 2

    def test_and_no_more_than_once(self, groups: GroupSync, qlik: JwtQlik) -> None:
        qlik.fail["log_in"] = [TenantUnavailable()] * 3

        with pytest.raises(TenantUnavailable):
            groups.ensure(ACME, identity())

        assert len(qlik.calls) == 2

    @pytest.mark.parametrize("failure", FAILURES, ids=named)
    def test_other_failures_are_not_repeated(self, groups: GroupSync, qlik: JwtQlik, failure: BridgeError) -> None:
        qlik.fail["log_in"] = [failure]

        with pytest.raises(type(failure)):
            groups.ensure(ACME, identity())

        assert len(qlik.calls) == 1

    def test_a_store_that_is_away_is_no_reason_to_guess(
        self, groups: GroupSync, qlik: JwtQlik, subjects: FakeSubjects
    ) -> None:
        subjects.broken = True

        with pytest.raises(StoreError):
            groups.ensure(ACME, identity())

        assert qlik.calls == []

    def test_a_store_that_goes_away_during_the_login_leaves_the_sync_undone(
        self, groups: GroupSync, qlik: JwtQlik, subjects: FakeSubjects
    ) -> None:
        qlik.before["log_in"] = lambda: setattr(subjects, "broken", True)
        with pytest.raises(StoreError):
            groups.ensure(ACME, identity())
        qlik.before.clear()
        subjects.broken = False

        groups.ensure(ACME, identity())

        assert len(qlik.calls) == 2


class TestAtTheSameTime:
    @staticmethod
    def once(action: Callable[[], object]) -> Callable[[], None]:
        """Return a hook that does its thing the first time alone."""
        pending = [action]

        def hook() -> None:
            if pending:
                pending.pop()()

        return hook

    def test_many_requests_of_one_person_share_a_login(self, groups: GroupSync, qlik: JwtQlik) -> None:
        ready = threading.Barrier(8)

        def ask() -> SubjectRecord:
            ready.wait(LONG_S)
            return groups.ensure(ACME, identity("alice", "A"))

        with ThreadPoolExecutor(8) as pool:
            records = [each.result(LONG_S) for each in [pool.submit(ask) for _ in range(8)]]

        assert len(set(records)) == 1
        assert qlik.names() == ["log_in"]

    def test_two_people_do_not_wait_for_each_other(self, groups: GroupSync, qlik: JwtQlik) -> None:
        both_inside = threading.Barrier(2)

        def wait_for_the_other() -> None:
            both_inside.wait(LONG_S)

        qlik.before["log_in"] = wait_for_the_other
        with ThreadPoolExecutor(2) as pool:
            asked = [pool.submit(groups.ensure, ACME, identity(sub)) for sub in ("alice", "bob")]
            assert {each.result(LONG_S).user_id for each in asked} == {"id-alice", "id-bob"}

    @pytest.mark.parametrize("later_by", [10, 0], ids=["newer", "same second"])
    def test_facts_that_change_during_a_login_lead_to_another(
        self,
        groups: GroupSync,
        qlik: JwtQlik,
        subjects: FakeSubjects,
        monkeypatch: pytest.MonkeyPatch,
        later_by: float,
    ) -> None:
        """The second request joins the login of the first, whose groups are not the newest any more."""
        joined = threading.Event()
        old, new = identity("alice", "A", "B"), identity("alice", "A", at=START + later_by)
        run = groups._flights.run

        def watched(key: Hashable, work: Callable[[], SubjectRecord]) -> SubjectRecord:
            if threading.current_thread().name.startswith("second"):
                joined.set()
            return run(key, work)

        monkeypatch.setattr(groups._flights, "run", watched)
        with ThreadPoolExecutor(1) as first, ThreadPoolExecutor(1, thread_name_prefix="second") as second:
            answers = []

            def let_another_ask() -> None:
                answers.append(second.submit(groups.ensure, ACME, new))
                assert joined.wait(LONG_S)

            qlik.before["log_in"] = self.once(let_another_ask)
            first.submit(groups.ensure, ACME, old).result(LONG_S)
            record = answers[0].result(LONG_S)

        assert record.subject == new.subject
        assert record.synced_groups == {"A"}
        assert groups_sent(qlik) == [["A", "B"], ["A"]]
        assert subjects.rows["acme", "alice"].synced_groups == {"A"}

    def test_a_person_who_signs_in_twice_in_one_second_is_no_endless_loop(
        self, groups: GroupSync, qlik: JwtQlik, subjects: FakeSubjects, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """The facts that this request noted were overwritten by equally old ones before its login began."""
        mine, theirs = identity("alice", "A"), identity("alice", "B")
        get = subjects.get

        def overtaken(slug: str, sub: str, *, fresh: bool = False) -> SubjectRecord | None:
            if fresh:
                subjects.note("acme", theirs.subject, theirs.asserted_at)
            return get(slug, sub, fresh=fresh)

        monkeypatch.setattr(subjects, "get", overtaken)

        record = groups.ensure(ACME, mine)

        assert record.subject == theirs.subject
        assert groups_sent(qlik) == [["B"]]
