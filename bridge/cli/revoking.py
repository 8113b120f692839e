"""End issued tokens: here all at once, at their tenants one after the other, at the pace of the budget."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from itertools import groupby
from math import inf
from typing import Any

import click

from bridge.bootstrap import Bridge
from bridge.budgeting import Lane
from bridge.cli.common import SHOWN, actor
from bridge.cli.walking import IN_A_ROW, Patience, Walk
from bridge.errors import EXIT_UPSTREAM, BudgetSpent, TenantRefused
from bridge.model import AuditEvent, IssuedToken
from bridge.services.budget import claiming
from bridge.services.parity_people import LeftOut
from bridge.services.parity_runs import Pace, PacedRun

UNANSWERED = f"the tenant did not answer for {IN_A_ROW} tokens in a row"


@dataclass(slots=True)
class Ended:
    """What became of the tokens that are out of use here."""

    tokens: int
    revoked: int = 0
    failed: list[LeftOut] = field(default_factory=list)
    why_left: str = "interrupted"

    @property
    def left(self) -> int:
        return self.tokens - self.revoked - len(self.failed)

    def counts(self) -> dict[str, int]:
        return {"revoked": self.revoked, "failed": len(self.failed), "left": self.left}

    def document(self) -> dict[str, Any]:
        return {**self.counts(), "why_left": self.why_left if self.left else None}


def revoke_tokens(bridge: Bridge, *, tenant: str | None, subject: str | None, reason: str, rest: bool = False) -> Ended:
    """Take tokens out of use at once and end them at their tenants; the *rest* are those that were before.

    Those of one person are claimed like a page open, as a sign-out's are; those of many in the pre-warm lane.
    """
    doom = bridge.broker.still_doomed if rest else bridge.broker.doom
    tokens = doom(tenant=tenant, sub=subject)
    ended = Ended(len(tokens))
    try:
        with claiming(Lane.PAGE_OPEN if subject else Lane.PRE_WARM):
            _end(bridge, tokens, ended)
    finally:
        after = {"subject": subject, **ended.counts()}
        bridge.audit.append(AuditEvent(bridge.clock(), actor(), "tokens.revoke", tenant, reason, None, after))
    return ended


def _end(bridge: Bridge, tokens: Sequence[IssuedToken], ended: Ended) -> None:
    """End the tokens of one tenant after the other, until Ctrl-C, which the call at hand survives."""
    patience = Patience()
    try:
        with patience.until_interrupted():
            for slug, theirs in groupby(sorted(tokens, key=_slug), key=_slug):
                _end_at(bridge, slug, list(theirs), ended, patience)
    except KeyboardInterrupt:
        tell(ended)
        raise


def _end_at(bridge: Bridge, slug: str, tokens: Sequence[IssuedToken], ended: Ended, patience: Patience) -> None:
    def end(token: IssuedToken) -> LeftOut | None:
        try:
            bridge.broker.end_one(token)
        except TenantRefused as refusal:  # about this token; the next one may be welcome
            return LeftOut(token.key.sub, refusal.detail or refusal.message)
        return None

    walk, unanswered = Walk(slug, len(tokens)), 0
    run = PacedRun(end, Pace(inf, sleep=patience.sleep), walk.waiting)
    with walk.showing():
        try:
            for failure in run.over(tokens):
                walk.advance()
                unanswered = unanswered + 1 if failure and failure.is_upstream else 0
                if failure:
                    ended.failed.append(failure)
                else:
                    ended.revoked += 1
                if unanswered >= IN_A_ROW:
                    ended.why_left = UNANSWERED
                    return
        except BudgetSpent as spent:
            ended.why_left = spent.message


def _slug(token: IssuedToken) -> str:
    return token.key.tenant


def tell(ended: Ended) -> None:
    """Say what is left, and what to do about it; the sums are printed apart."""
    for each in ended.failed[:SHOWN]:
        click.echo(f"failed {each.sub}: {each.why}", err=True)
    if len(ended.failed) > SHOWN:
        click.echo(f"... and {len(ended.failed) - SHOWN} more failed", err=True)
    if ended.left:
        click.echo(f"{ended.left:,} of {ended.tokens:,} are left: {ended.why_left}.", err=True)
    if ended.left or ended.failed:
        click.echo(
            "They are out of use here. `qlik-bridge tokens revoke --rest` ends them at the tenant, and no newer ones."
            " After a change of the tenant's host, client or scope they end by themselves within six hours.",
            err=True,
        )


def finish(ended: Ended, *, as_json: bool) -> None:
    """Tell how many were revoked; exit 3 when some could not be ended at the tenant."""
    if not as_json:
        click.echo(", ".join(f"{count:,} {name}" for name, count in ended.counts().items()))
    tell(ended)
    if ended.left or ended.failed:
        raise SystemExit(EXIT_UPSTREAM)
