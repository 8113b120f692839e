"""What a bulk revocation says of tokens that their tenant does not end."""

from types import SimpleNamespace

import pytest
from fakes import START, FakeAudit

from bridge.cli.revoking import finish, revoke_tokens
from bridge.cli.walking import IN_A_ROW
from bridge.errors import BudgetSpent, TenantError, TenantRefused, TenantTimeout
from bridge.model import IssuedToken, TokenKey
from bridge.services import parity_runs


def tokens(slug: str, count: int) -> list[IssuedToken]:
    return [
        IssuedToken(TokenKey(slug, "client", f"p{each}", "", "1"), f"{slug}-{each}", "value", "", START, START + 9)
        for each in range(count)
    ]


class Broker:
    """Dooms what it is made of, and fails at tenants as it is told."""

    def __init__(self, doomed: list[IssuedToken], **fails: TenantError) -> None:
        self.doomed = doomed
        self.fails = fails
        self.asked: list[str] = []

    def doom(self, **_: object) -> list[IssuedToken]:
        return self.doomed

    def end_one(self, token: IssuedToken) -> None:
        self.asked.append(token.token_id)
        if failure := self.fails.get(token.key.tenant):
            raise failure


@pytest.fixture
def audit() -> FakeAudit:
    return FakeAudit()


def run(broker: Broker, audit: FakeAudit) -> int:
    bridge = SimpleNamespace(broker=broker, audit=audit, clock=lambda: START)
    try:
        finish(revoke_tokens(bridge, tenant=None, subject=None, reason="test"), as_json=False)  # type: ignore[arg-type]
    except SystemExit as ending:
        return int(ending.code or 0)
    return 0


def test_a_tenant_that_does_not_answer_leaves_its_own(audit: FakeAudit, capsys: pytest.CaptureFixture[str]) -> None:
    broker = Broker(tokens("globex", 3) + tokens("acme", IN_A_ROW + 5), acme=TenantTimeout())

    assert run(broker, audit) == 3

    assert broker.asked == [f"acme-{each}" for each in range(IN_A_ROW)] + ["globex-0", "globex-1", "globex-2"]
    told = capsys.readouterr()
    assert told.out == "3 revoked, 10 failed, 5 left\n"
    assert "failed p0: tenant_timeout" in told.err
    assert "5 of 18 are left: the tenant did not answer for 10 tokens in a row." in told.err
    assert "tokens revoke --rest" in told.err
    assert audit.events[-1].after == {"subject": None, "revoked": 3, "failed": 10, "left": 5}


def test_who_is_refused_keeps_nobody_waiting(audit: FakeAudit, capsys: pytest.CaptureFixture[str]) -> None:
    broker = Broker(tokens("acme", 25), acme=TenantRefused(detail="the token is not theirs"))

    assert run(broker, audit) == 3

    assert len(broker.asked) == 25
    told = capsys.readouterr()
    assert told.out == "0 revoked, 25 failed, 0 left\n"
    assert "failed p19: the token is not theirs\n... and 5 more failed" in told.err


def test_pages_that_need_the_whole_budget_are_told_as_the_reason(
    audit: FakeAudit, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(parity_runs, "PATIENCE_S", 0.0)
    broker = Broker(tokens("acme", 2), acme=BudgetSpent(retry_after_s=300))

    assert run(broker, audit) == 3

    assert "2 of 2 are left: For 0 minutes the budget had no call left" in capsys.readouterr().err


def test_nothing_to_end_is_no_failure(audit: FakeAudit, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(Broker([]), audit) == 0
    assert capsys.readouterr() == ("0 revoked, 0 failed, 0 left\n", "")
