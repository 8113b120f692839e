"""Which path for whom, and the safe side of a flag without an answer."""

import threading
import uuid
from collections.abc import Callable, Iterator

import pytest
from openfeature import api as openfeature
from openfeature.client import OpenFeatureClient
from openfeature.evaluation_context import EvaluationContext
from openfeature.flag_evaluation import FlagResolutionDetails
from openfeature.provider import AbstractProvider
from openfeature.provider.no_op_provider import NoOpProvider
from samples import state, subject

from bridge.model import FLAG, Path, Stage, TenantState
from bridge.services.rollout import Rollouts
from bridge.telemetry import Metrics

LONG_S = 5
PEOPLE = [subject(f"person-{number}") for number in range(10_000)]
Answer = Callable[[EvaluationContext], object]


class OneFlag(NoOpProvider):
    """Answers by calling *answer*, and keeps what it was asked."""

    def __init__(self, answer: Answer) -> None:
        super().__init__()
        self.answer = answer
        self.asked: list[tuple[str, EvaluationContext]] = []

    def resolve_string_details(
        self, flag_key: str, default_value: str, evaluation_context: EvaluationContext | None = None
    ) -> FlagResolutionDetails[str]:
        del default_value
        assert evaluation_context is not None
        self.asked.append((flag_key, evaluation_context))
        return FlagResolutionDetails(self.answer(evaluation_context))  # type: ignore[arg-type]


class Odd(OneFlag):
    """Decides by a rule of a name that PostgreSQL keeps nowhere."""

    def resolve_string_details(
        self, flag_key: str, default_value: str, evaluation_context: EvaluationContext | None = None
    ) -> FlagResolutionDetails[str]:
        del flag_key, default_value, evaluation_context
        return FlagResolutionDetails("oauth", variant="a\x00b" + "c" * 500, reason="\x1b[2J")


@pytest.fixture
def domain() -> str:
    """A place of its own among OpenFeature's global clients."""
    return f"test-{uuid.uuid4()}"


def client(domain: str, provider: AbstractProvider) -> OpenFeatureClient:
    openfeature.set_provider_and_wait(provider, domain)
    return openfeature.get_client(domain)


def plan(now: TenantState) -> Answer:
    """Answer like the bridge's own provider: from the tenant's rollout."""

    def answer(context: EvaluationContext) -> object:
        groups = context.attributes["groups"]
        assert isinstance(groups, list)
        assert context.targeting_key
        return now.rollout.path_for(now.tenant.slug, context.targeting_key, frozenset(map(str, groups))).value

    return answer


def explode(_context: EvaluationContext) -> object:
    raise RuntimeError("the flag service is away")


def fallbacks(metrics: Metrics) -> float:
    return metrics.registry.get_sample_value("bridge_flag_fallbacks_total", {"tenant": "acme"}) or 0


class TestPercentage:
    def moved(self, domain: str, metrics: Metrics, percentage: float) -> set[str]:
        now = state(Stage.ROLLOUT, percentage=percentage)
        rollouts = Rollouts(client(domain, OneFlag(plan(now))), metrics, may_block=False)
        return {each.sub for each in PEOPLE if rollouts.path(now, each) is Path.OAUTH}

    def test_half_move_and_a_higher_percentage_keeps_all_of_them(self, domain: str, metrics: Metrics) -> None:
        half = self.moved(domain, metrics, 50)

        assert 4_700 <= len(half) <= 5_300
        assert self.moved(domain, metrics, 50) == half
        assert self.moved(domain, metrics, 60) > half
        assert fallbacks(metrics) == 0

    def test_cohorts_move_by_subject_and_group(self, domain: str, metrics: Metrics) -> None:
        now = state(Stage.ROLLOUT, subjects=["alice"], groups=["Pilots"])
        rollouts = Rollouts(client(domain, OneFlag(plan(now))), metrics, may_block=False)

        paths = [rollouts.path(now, each) for each in (subject(), subject("bob", "Pilots"), subject("bob", "Sales"))]

        assert paths == [Path.OAUTH, Path.OAUTH, Path.JWT]


class TestQuestion:
    def test_the_flag_is_asked_for_this_subject_in_this_tenant(self, domain: str, metrics: Metrics) -> None:
        provider = OneFlag(lambda _: "oauth")
        rollouts = Rollouts(client(domain, provider), metrics, may_block=False)

        path = rollouts.path(state(Stage.ROLLOUT), subject("o'neil\"\\", "B", "A"))

        context = EvaluationContext("o'neil\"\\", {"tenant": "acme", "groups": ["A", "B"]})
        assert path is Path.OAUTH
        assert provider.asked == [("embed-path", context)]
        assert FLAG == "embed-path"

    @pytest.mark.parametrize("stage", [stage for stage in Stage if stage is not Stage.ROLLOUT])
    @pytest.mark.parametrize("answer", ["jwt", "oauth"])
    @pytest.mark.parametrize("may_block", [True, False])
    def test_other_stages_have_one_answer_and_never_ask(
        self, domain: str, metrics: Metrics, stage: Stage, answer: str, *, may_block: bool
    ) -> None:
        provider = OneFlag(lambda _: answer)
        rollouts = Rollouts(client(domain, provider), metrics, may_block=may_block)

        assert rollouts.path(state(stage, percentage=50), subject()) is stage.safe_path
        assert provider.asked == []
        assert fallbacks(metrics) == 0


class TestSafeSide:
    @pytest.mark.parametrize("may_block", [True, False])
    @pytest.mark.parametrize(
        "answer",
        [explode, lambda _: "banana", lambda _: "", lambda _: "OAUTH", lambda _: 7, lambda _: True, lambda _: None],
        ids=["raises", "nonsense", "empty", "case", "number", "boolean", "nothing"],
    )
    def test_no_usable_answer_is_the_old_path_and_counted(
        self, domain: str, metrics: Metrics, answer: Answer, *, may_block: bool
    ) -> None:
        rollouts = Rollouts(client(domain, OneFlag(answer)), metrics, may_block=may_block)

        assert rollouts.path(state(Stage.ROLLOUT, percentage=100), subject()) is Path.JWT
        assert fallbacks(metrics) == 1

    @pytest.mark.parametrize("stage", list(Stage))
    def test_a_broken_flag_gives_the_safe_side_of_every_stage(
        self, domain: str, metrics: Metrics, stage: Stage
    ) -> None:
        rollouts = Rollouts(client(domain, OneFlag(explode)), metrics, may_block=True)

        assert rollouts.path(state(stage), subject()) is stage.safe_path

    def test_what_a_rule_is_called_can_be_kept_by_any_store(self, domain: str, metrics: Metrics) -> None:
        rollouts = Rollouts(client(domain, Odd(explode)), metrics, may_block=True)

        decision = rollouts.decide(state(Stage.ROLLOUT), subject())
        assert (decision.variant, decision.reason) == ("a?b" + "c" * 197, "?[2J")

    def test_a_provider_that_is_gone_is_no_answer(self, domain: str, metrics: Metrics) -> None:
        """OpenFeature's own stand-in answers every question with the caller's default."""
        rollouts = Rollouts(openfeature.get_client(domain), metrics, may_block=False)

        assert rollouts.path(state(Stage.ROLLOUT, percentage=100), subject()) is Path.JWT
        assert fallbacks(metrics) == 1

    def test_no_thread_to_ask_with_is_no_answer(self, domain: str, metrics: Metrics) -> None:
        rollouts = Rollouts(client(domain, OneFlag(lambda _: "oauth")), metrics, may_block=True)
        assert rollouts._pool is not None
        rollouts._pool.shutdown()

        assert rollouts.path(state(Stage.ROLLOUT), subject()) is Path.JWT
        assert fallbacks(metrics) == 1


class TestSlow:
    @pytest.fixture(autouse=True)
    def no_patience(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr("bridge.services.rollout.PATIENCE_S", 0.01)

    @pytest.fixture
    def held(self) -> Iterator[threading.Event]:
        """Until set, the provider does not answer."""
        event = threading.Event()
        yield event
        event.set()

    def test_a_slow_answer_does_not_count(self, domain: str, metrics: Metrics, held: threading.Event) -> None:
        provider = OneFlag(lambda _: held.wait(LONG_S) and "oauth")
        rollouts = Rollouts(client(domain, provider), metrics, may_block=True)

        assert rollouts.path(state(Stage.ROLLOUT), subject()) is Path.JWT
        assert fallbacks(metrics) == 1

    def test_questions_that_nobody_waits_for_are_not_asked_later(
        self, domain: str, metrics: Metrics, held: threading.Event
    ) -> None:
        """Else a provider that comes back works off the backlog first, while everyone who asks now times out."""
        provider = OneFlag(lambda _: held.wait(LONG_S) and "oauth")
        rollouts = Rollouts(client(domain, provider), metrics, may_block=True)
        for number in range(20):
            rollouts.path(state(Stage.ROLLOUT), subject(f"person-{number}"))
        held.set()
        assert rollouts._pool is not None
        rollouts._pool.shutdown()

        assert len(provider.asked) <= 4
        assert fallbacks(metrics) == 20


class TestOwnFlags:
    """A tenant that keeps to the bridge's own flags beside another provider."""

    def rollouts(self, metrics: Metrics, now: TenantState, other: Answer) -> Rollouts:
        own, theirs = (f"test-{uuid.uuid4()}" for _ in range(2))
        provider = client(own, OneFlag(plan(now)))
        return Rollouts(client(theirs, OneFlag(other)), metrics, may_block=True, own=provider)

    def test_each_tenant_is_decided_where_it_says(self, metrics: Metrics) -> None:
        ours = state(Stage.ROLLOUT, percentage=100, own_flags=True)
        theirs = state(Stage.ROLLOUT, percentage=100)
        rollouts = self.rollouts(metrics, ours, lambda _: "jwt")

        assert rollouts.path(ours, subject()) is Path.OAUTH
        assert rollouts.path(theirs, subject()) is Path.JWT

    def test_it_does_not_mind_that_the_other_provider_is_away(self, metrics: Metrics) -> None:
        ours = state(Stage.ROLLOUT, percentage=100, own_flags=True)
        rollouts = self.rollouts(metrics, ours, explode)

        assert rollouts.path(ours, subject()) is Path.OAUTH
        assert fallbacks(metrics) == 0

    def test_where_our_provider_is_the_only_one_it_changes_nothing(self, domain: str, metrics: Metrics) -> None:
        ours = state(Stage.ROLLOUT, percentage=100, own_flags=True)
        rollouts = Rollouts(client(domain, OneFlag(plan(ours))), metrics, may_block=False)

        assert rollouts.path(ours, subject()) is Path.OAUTH

    def test_what_our_provider_says_needs_no_question_and_another_ones_word_is_asked_for(
        self, metrics: Metrics
    ) -> None:
        ours = state(Stage.ROLLOUT, percentage=100, own_flags=True)
        rollouts = self.rollouts(metrics, ours, explode)
        alone = Rollouts(client(f"test-{uuid.uuid4()}", OneFlag(explode)), metrics, may_block=False)

        assert rollouts.is_on_oauth_at_once(ours, subject())
        assert not rollouts.is_on_oauth_at_once(state(Stage.ROLLOUT, percentage=100), subject())
        assert alone.is_on_oauth_at_once(state(Stage.ROLLOUT, percentage=100), subject())
        assert not alone.is_on_oauth_at_once(state(Stage.ROLLOUT), subject())
        assert fallbacks(metrics) == 0
