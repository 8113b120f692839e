"""The nouns: where each subject falls, what a tenant accepts, what never shows."""

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError
from samples import CLIENT, MANAGEMENT, identity, state, subject, tenant, tenant_document

from bridge.model import (
    BUCKETS,
    Cohorts,
    IssuedToken,
    Minted,
    OAuthClient,
    Path,
    Rollout,
    Stage,
    SubjectRecord,
    Tenant,
    bucket,
)
from bridge.texts import checked_origin, checked_text, is_loopback

PEOPLE = [f"person-{number}" for number in range(10_000)]
PERCENTAGES = st.floats(min_value=0, max_value=100)

PROBE = {"name": "sales", "app_id": "11111111-2222-3333-4444-555555555555", "dimension": "D", "measure": "M"}


def changed(fields: dict[str, object]) -> Tenant:
    return Tenant.model_validate({**tenant_document(), **fields})


def moved(percentage: float, tenant_slug: str = "acme") -> set[str]:
    rollout = Rollout(Stage.ROLLOUT, percentage)
    return {sub for sub in PEOPLE if rollout.path_for(tenant_slug, sub, frozenset()) is Path.OAUTH}


class TestRollout:
    def test_half_of_the_people_move_at_50_per_cent(self) -> None:
        assert 4_700 <= len(moved(50)) <= 5_300

    def test_the_same_people_move_each_time(self) -> None:
        assert moved(50) == moved(50)

    def test_60_per_cent_keeps_all_of_the_50(self) -> None:
        assert moved(50) < moved(60)

    def test_each_tenant_moves_people_of_its_own(self) -> None:
        assert moved(50, "acme") != moved(50, "globex")

    def test_nobody_at_0_and_everybody_at_100(self) -> None:
        assert moved(0) == set()
        assert moved(100) == set(PEOPLE)

    @given(PERCENTAGES, PERCENTAGES, st.text(max_size=20))
    def test_raising_the_percentage_never_takes_anyone_back(self, one: float, other: float, sub: str) -> None:
        low, high = sorted([one, other])
        before = Rollout(Stage.ROLLOUT, low).path_for("acme", sub, frozenset())
        after = Rollout(Stage.ROLLOUT, high).path_for("acme", sub, frozenset())

        assert (before, after) != (Path.OAUTH, Path.JWT)

    @pytest.mark.parametrize("hundredths", [0, 1, 7, 14, 29, 57, 110, 1_234, 5_000, 9_999, 10_000])
    def test_a_hundredth_of_a_per_cent_is_one_bucket(self, monkeypatch: pytest.MonkeyPatch, hundredths: int) -> None:
        """0.07 / 100 * 10,000 is a little more than 7 in binary: that must not let an eighth bucket in."""
        rollout = Rollout(Stage.ROLLOUT, hundredths / 100)
        inside = 0
        for number in range(BUCKETS):
            monkeypatch.setattr("bridge.plan.bucket", lambda *_, number=number: number)
            inside += rollout.path_for("acme", "anyone", frozenset()) is Path.OAUTH

        assert inside == hundredths

    def test_buckets_are_what_they_were_when_first_released(self) -> None:
        """Moving a person to another bucket would take people back in the middle of a ramp."""
        assert [bucket("acme", sub) for sub in ("alice", "bob", "Alice")] == [4451, 3929, 1837]

    def test_two_subjects_that_differ_by_case_have_buckets_of_their_own(self) -> None:
        assert bucket("acme", "alice") != bucket("acme", "Alice")

    @pytest.mark.parametrize(
        ("sub", "groups", "path"),
        [
            ("alice", (), Path.OAUTH),
            ("Alice", (), Path.JWT),
            ("bob", ("Pilots",), Path.OAUTH),
            ("bob", ("pilots",), Path.JWT),
            ("bob", (), Path.JWT),
        ],
    )
    def test_cohorts_move_first(self, sub: str, groups: tuple[str, ...], path: Path) -> None:
        cohorts = Cohorts(frozenset({"alice"}), frozenset({"Pilots", "Testers"}))

        assert Rollout(Stage.ROLLOUT, 0, cohorts).path_for("acme", sub, frozenset(groups)) is path

    @pytest.mark.parametrize(
        ("stage", "path"),
        [
            (Stage.LEGACY, Path.JWT),
            (Stage.SHADOW, Path.JWT),
            (Stage.OAUTH, Path.OAUTH),
            (Stage.RETIRED, Path.OAUTH),
        ],
    )
    @pytest.mark.parametrize("percentage", [0, 100])
    def test_every_other_stage_has_one_path(self, stage: Stage, path: Path, percentage: float) -> None:
        rollout = Rollout(stage, percentage, Cohorts(frozenset({"alice"})))

        assert {rollout.path_for("acme", sub, frozenset()) for sub in ("alice", "bob")} == {path}
        assert stage.safe_path is path

    def test_the_safe_side_of_a_rollout_is_the_old_path(self) -> None:
        assert Stage.ROLLOUT.safe_path is Path.JWT

    def test_stages_are_in_order(self) -> None:
        assert [stage.position for stage in Stage] == [0, 1, 2, 3, 4]

    def test_the_document_sorts_cohorts(self) -> None:
        document = state(Stage.ROLLOUT, percentage=12.5, subjects=["b", "a"], groups=["y", "x"]).rollout.document()

        assert document == {
            "stage": "rollout",
            "percent": 12.5,
            "cohorts": {"subjects": ["a", "b"], "groups": ["x", "y"]},
            "ramp": None,
            "kill": None,
        }


class TestSubject:
    @pytest.mark.parametrize(
        "other",
        [
            subject("Alice", "A", "B"),
            subject("alice", "A", "B", name="Other"),
            subject("alice", "A", "B", email="other@example.com"),
            subject("alice", "A"),
            subject("alice", "A", "b"),
            subject("alice", "AB"),
            subject("alice", "A,B"),
        ],
    )
    def test_every_fact_counts_in_the_fingerprint(self, other: object) -> None:
        assert isinstance(other, type(subject()))
        assert other.fingerprint() != subject("alice", "A", "B").fingerprint()

    def test_the_order_of_groups_does_not(self) -> None:
        assert subject("alice", "A", "B").fingerprint() == subject("alice", "B", "A").fingerprint()

    def test_facts_do_not_run_into_each_other(self) -> None:
        one = subject("alice", name='x", "y', email="z")
        other = subject("alice", name="x", email='y", "z')

        assert one.fingerprint() != other.fingerprint()

    def test_operators_are_named_by_source_and_group(self) -> None:
        assert identity("erin", "admins", "demo:admins").qualified_groups() == {
            "assertion:admins",
            "assertion:demo:admins",
        }


class TestSubjectRecord:
    SYNCED = SubjectRecord("acme", subject("alice", "A"), 0, "id-1", subject("alice", "A").fingerprint(), synced_at=100)

    @pytest.mark.parametrize(("now", "is_synced"), [(100, True), (159.9, True), (160, False)])
    def test_a_sync_counts_until_its_age_is_reached(self, now: float, *, is_synced: bool) -> None:
        assert self.SYNCED.is_synced(now=now, max_age_s=60) is is_synced

    @pytest.mark.parametrize(
        "record",
        [
            SubjectRecord("acme", subject("alice", "A"), 0),
            SubjectRecord("acme", subject("alice", "A"), 0, None, subject("alice", "A").fingerprint(), synced_at=100),
            SubjectRecord("acme", subject("alice", "A"), 0, "id-1", subject("alice", "A").fingerprint()),
            SubjectRecord("acme", subject("alice"), 0, "id-1", subject("alice", "A").fingerprint(), synced_at=100),
        ],
        ids=["never", "without user id", "unknown", "other facts"],
    )
    def test_and_not_when_anything_is_unknown_or_changed(self, record: SubjectRecord) -> None:
        assert not record.is_synced(now=100, max_age_s=60)


class TestTokenKey:
    KEY = tenant().token_key("alice")

    @pytest.mark.parametrize(
        "changes",
        [
            {"host": "https://elsewhere.example.com"},
            {"issuing_client": {"id": "another", "secret": "hush"}},
            {"scope": "user_default identity.name:read"},
            {"slug": "globex"},
        ],
        ids=lambda changes: next(iter(changes)),
    )
    def test_changes_with_host_client_scope_and_tenant(self, changes: dict[str, object]) -> None:
        assert changed(changes).token_key("alice") != self.KEY

    @pytest.mark.parametrize(
        "changes",
        [
            {"issuing_client": {**CLIENT, "secret": "a rotated one"}},
            {"name": "Another name"},
            {"sync_max_age_s": 60},
            {"allowed_origins": ["https://portal.example.com"]},
        ],
        ids=lambda changes: next(iter(changes)),
    )
    def test_stays_with_anything_else(self, changes: dict[str, object]) -> None:
        """A rotated secret of the same client does not end the tokens that the old one got."""
        assert changed(changes).token_key("alice") == self.KEY

    @pytest.mark.parametrize(
        ("changes", "is_another"),
        [
            ({"host": "https://acme.eu.qlikcloud.com"}, True),
            ({"issuing_client": CLIENT | {"id": "another"}}, True),
            ({"scope": "user_default offline_access"}, True),
            ({"parity": {"probes": [PROBE]}}, True),
            ({"parity": {"ignores": [{"area": "spaces", "item": "*", "reason": "x"}]}}, True),
            ({"parity": {"max_apps": 1}}, True),
            ({"parity": {"subjects_needed": 9, "fresh_for_s": 60, "sample_percent": 5}}, False),
            ({"name": "Acme & Söhne", "issuing_client": CLIENT | {"secret": "hush-other"}}, False),
        ],
    )
    def test_what_a_comparison_is_made_under_has_a_digest(
        self,
        changes: dict[str, object],
        is_another: bool,  # noqa: FBT001 - a case
    ) -> None:
        assert (changed(changes).parity_basis() != tenant().parity_basis()) is is_another

    def test_tells_subjects_apart_by_case(self) -> None:
        assert tenant().token_key("Alice").digest() != self.KEY.digest()

    def test_a_tenant_without_client_has_one_too(self) -> None:
        assert tenant(issuing_client=None).token_key("alice").client_id == ""

    def test_values_never_show(self) -> None:
        token = IssuedToken(self.KEY, "id-1", "hush-value", "user_default", 0, 1)

        assert "hush" not in repr(token) + str(token) + repr(Minted("hush-value", "user_default", 1))


class TestOrigins:
    @pytest.mark.parametrize(
        ("given", "origin"),
        [
            ("https://acme.eu.qlikcloud.com", "https://acme.eu.qlikcloud.com"),
            ("https://acme.eu.qlikcloud.com/", "https://acme.eu.qlikcloud.com"),
            ("acme.eu.qlikcloud.com", "https://acme.eu.qlikcloud.com"),
            ("HTTPS://Acme.Example.COM:8443", "https://acme.example.com:8443"),
            ("http://localhost:9001", "http://localhost:9001"),
            ("http://127.0.0.2", "http://127.0.0.2"),
            ("http://[::1]:9001", "http://[::1]:9001"),
        ],
    )
    def test_are_kept_in_one_form(self, given: str, origin: str) -> None:
        assert checked_origin(given) == origin
        assert checked_origin(origin) == origin

    @pytest.mark.parametrize(
        ("given", "problem"),
        [
            ("https://acme.example.com/path", "path"),
            ("https://acme.example.com?a=b", "path"),
            ("https://acme.example.com#a", "path"),
            ("https://*.example.com", "wildcard"),
            ("*", "wildcard"),
            ("https://", "just https"),
            ("", "just https"),
            ("https://user@acme.example.com", "user name"),
            ("https://user:hush@acme.example.com", "user name"),
            ("https://@acme.example.com", "user name"),
            ("http://acme.example.com", "must be https"),
            ("http://localhost.example.com", "must be https"),
            ("http://127.0.0.1.example.com", "must be https"),
            ("ftp://localhost", "must be https"),
            ("https://acme.example.com:port", "port"),
            ("https://acme.example.com:99999", "port"),
            ("https://acme.example.com\\@evil.example.com", "backslash"),
            ("https://acme\\.example.com", "backslash"),
            ("https://acme.exa\nmple.com", "control"),
            (" https://acme.example.com", "spaces"),
            ("https://a.example.com https://b.example.com", "spaces"),
            ("https://[::1", "not an address"),
            ("https://a.example.com;script-src", "host name"),
            ("https://a.example.com,b.example.com", "host name"),
            ('https://"a.example.com', "host name"),
            ("http://127.0.0.\u0661", "host name"),
            ("https://user:hush\u2100@acme.example.com", "not an address"),
        ],
    )
    def test_anything_else_is_refused(self, given: str, problem: str) -> None:
        with pytest.raises(ValueError, match=problem) as refusal:
            checked_origin(given)

        assert "hush" not in str(refusal.value)

    @pytest.mark.parametrize("host", ["localhost", "127.0.0.1", "127.1.2.3", "::1"])
    def test_loopback(self, host: str) -> None:
        assert is_loopback(host)

    @pytest.mark.parametrize(
        "host",
        [None, "", "localhost.", "localhost.evil.com", "127.0.0.1.evil.com", "128.0.0.1", "0.0.0.0", "::"],  # noqa: S104
    )
    def test_not_loopback(self, host: str | None) -> None:
        assert not is_loopback(host)


class TestTenant:
    @pytest.mark.parametrize(
        ("changes", "field"),
        [
            ({"slug": "Acme"}, "slug"),
            ({"slug": "ac\nme"}, "slug"),
            ({"slug": "-acme"}, "slug"),
            ({"slug": ""}, "slug"),
            ({"slug": "a" * 64}, "slug"),
            ({"name": "  "}, "name"),
            ({"host": "https://acme.example.com/x"}, "host"),
            ({"portal_hosts": ["https://portal.example.com"]}, "portal_hosts"),
            ({"portal_hosts": ["portal.example.com/x"]}, "portal_hosts"),
            ({"allowed_origins": ["*"]}, "allowed_origins"),
            ({"admits": []}, "admits"),
            ({"signing_key": "../secret.pem"}, "signing_key"),
            ({"signing_key": ".hidden"}, "signing_key"),
            ({"sync_issuer": "sync"}, "sync_key"),
            ({"sync_key": "sync.pem", "sync_key_id": "kid"}, "sync_issuer"),
            ({"issuing_client": {"id": "x"}}, "secret"),
            ({"issuing_client": {"id": "x", "secret": "y", "key": "k.pem", "key_id": "k"}}, "secret"),
            ({"issuing_client": {"id": "x", "key": "k.pem"}}, "key_id"),
            ({"issuing_client": {"id": "x", "secret": "y", "key_id": "k"}}, "key_id"),
            ({"group_strategy": "scim"}, "group_strategy"),
            ({"sync_max_age_s": 59}, "sync_max_age_s"),
            ({"sync_max_age_s": 30 * 86400 + 1}, "sync_max_age_s"),
            ({"scope": ""}, "scope"),
            ({"scope": "a  b"}, "scope"),
            ({"scope": "a\nb"}, "scope"),
            ({"typo": "x"}, "typo"),
            ({"content": {"app": "x"}}, "content"),
        ],
        ids=str,
    )
    def test_wrong_fields_are_refused_by_name(self, changes: dict[str, object], field: str) -> None:
        with pytest.raises(ValidationError, match=field):
            changed(changes)

    def test_a_refusal_never_repeats_a_secret(self) -> None:
        wrong = tenant_document(issuing_client={**CLIENT, "typo": "hush"}, management_client="hush", scope="hush ")

        with pytest.raises(ValidationError) as refusal:
            Tenant.model_validate({**wrong, "host": "https://hush:hush@acme.example.com"})

        assert "hush" not in str(refusal.value)

    def test_portal_hosts_are_compared_in_lower_case(self) -> None:
        assert tenant(portal_hosts=["Portal.Example.com:8443"]).portal_hosts == ("portal.example.com:8443",)

    @pytest.mark.parametrize(
        ("source", "issuer", "to", "group", "is_admitted"),
        [
            ("assertion", "portal", None, "Staff", True),
            ("portal", "other", None, "Staff", True),
            ("assertion", "other", None, "Staff", False),
            ("assertion", "Portal", None, "Staff", False),
            ("assertion", "portal", "acme", "Staff", True),
            ("assertion", "portal", "globex", "Staff", False),
            ("assertion", "portal", "", "Staff", False),
            ("assertion", "portal", None, "staff", False),
        ],
    )
    def test_admits_people_by_source_or_issuer_tenant_and_group(
        self, source: str, issuer: str, to: str | None, group: str, *, is_admitted: bool
    ) -> None:
        person = type(identity())(subject("alice", group), source, issuer, 0, to)

        assert tenant(required_group="Staff").admits_identity(person) is is_admitted

    def test_without_a_required_group_nobody_needs_one(self) -> None:
        assert tenant().admits_identity(identity())

    def test_secrets_are_taken_apart_and_put_back(self) -> None:
        whole = tenant(management_client=MANAGEMENT)

        document, secrets = whole.public_document(), whole.secrets()

        assert secrets == {"issuing_client": "hush-issuing", "management_client": "hush-management"}
        assert "hush" not in repr(document) + repr(whole) + whole.model_dump_json()
        assert Tenant.from_documents(document, secrets) == whole

    def test_a_client_with_a_key_has_no_secret(self) -> None:
        whole = tenant(issuing_client={"id": "x", "key": "client.pem", "key_id": "k"})

        assert whole.secrets() == {}
        assert Tenant.from_documents(whole.public_document(), {}) == whole

    def test_a_client_without_a_secret_text_is_refused(self) -> None:
        with pytest.raises(ValidationError, match="secret"):
            OAuthClient.model_validate({"id": "x", "secret": ""})


@pytest.mark.parametrize("character", ["\0", "\n", "\r", "\x1b", "\x7f", "\x85"])
def test_control_characters_are_refused_and_not_repeated(character: str) -> None:
    with pytest.raises(ValueError, match=r"^a name holds control characters$"):
        checked_text(f"a{character}b", "a name")


@pytest.mark.parametrize("text", ["", "o'neil\"\\", "Zoë", "名前", "a b", "🙂"])
def test_other_text_is_kept_byte_for_byte(text: str) -> None:
    assert checked_text(text, "a name") == text


def test_half_a_character_is_refused_because_no_database_can_keep_it() -> None:
    """JSON can hold a lone surrogate, which no encoding can write down."""
    with pytest.raises(ValueError, match="control characters"):
        checked_text("a\ud800b", "a name")


class TestTexts:
    """What a tenant's texts may hold."""

    PLAIN = ("name", "issuer", "key_id", "required_group", "sync_issuer", "sync_key_id", "web_integration_id")
    CONTROLS = ("a\x00b", "a\nb", "a\x1bb", "a\x85b")

    @pytest.mark.parametrize("text", CONTROLS, ids=ascii)
    def test_no_control_characters(self, text: str) -> None:
        fields: dict[str, object] = {
            **dict.fromkeys(self.PLAIN, text),
            "sync_key": "sync.pem",
            "admits": ["demo", text],
            "content": {"app_id": text, "master_measure": text},
            "management_client": {"id": text, "key": "k.pem", "key_id": text},
            "parity": {
                "probes": [{**PROBE, "name": text, "app_id": text}],
                "ignores": [{"area": "spaces", "item": text, "reason": text}],
            },
        }
        with pytest.raises(ValidationError) as refusal:
            changed(fields)

        assert {".".join(map(str, each["loc"])) for each in refusal.value.errors()} == {
            *self.PLAIN,
            *("admits.1", "content.app_id", "content.master_measure", "management_client.id"),
            *("management_client.key_id", "parity.probes.0.name", "parity.probes.0.app_id"),
            *("parity.ignores.0.item", "parity.ignores.0.reason"),
        }
        assert "control characters" in str(refusal.value)

    def test_expressions_go_over_several_lines(self) -> None:
        text = "Sum(\r\n\tSales\n)"
        probe = {**PROBE, "measure": text, "dimension": text}
        found = changed({"content": {"hypercube_measure": text}, "parity": {"probes": [probe]}})

        assert (found.content.hypercube_measure, found.parity.probes[0].measure) == (text, text)
        with pytest.raises(ValidationError, match="control characters"):
            changed({"content": {"hypercube_measure": "Sum(\x00)"}})

    @pytest.mark.parametrize(
        "script",
        [
            "javascript:alert(1)",
            "javascript://x/%0aalert(1)",
            "data:text/javascript,alert(1)",
            "http://cdn.example.com/x.js",
            "//cdn.example.com/x.js",
            "/x.js",
            "",
            "https://evil.example; script-src *//x.js",
            "https://evil.example 'unsafe-inline'/x.js",
            "https://user:hush@cdn.example.com/x.js",
            "https://cdn.example.com/a b.js",
            "https://cdn.example.com/x.js#y",
            "https://[",
        ],
    )
    def test_a_script_comes_from_a_web_address(self, script: str) -> None:
        with pytest.raises(ValidationError, match="must be") as refusal:
            changed({"embed_script": script})

        assert "hush" not in str(refusal.value)

    @pytest.mark.parametrize("script", ["https://cdn.example.com/x.js?v=1", "http://127.0.0.1:9001/npm/embed.js"])
    def test_such_an_address_is_kept_as_it_is(self, script: str) -> None:
        assert changed({"embed_script": script}).embed_script == script
