"""Is a tenant safe to retire? A verdict with its evidence, from the bridge's own notes and from the tenant's events."""

import threading
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass

from cachetools import TTLCache

from bridge.errors import TenantError, UnmetCondition
from bridge.model import Stage, Tenant, TenantState
from bridge.ports import Clock, JwtUses
from bridge.services.jwt_sessions import JwtSessions
from bridge.texts import iso
from bridge.trail import Apart, Evidence, Retirement, SessionReport, StragglerReport, Verdict

DAY_S = 86_400
CONDITION = "no_stragglers"
BRIDGE, TENANT = "bridge", "tenant"
NAMES_SHOWN = 5
REMEMBERED = 1000
REMEMBERED_S = 60


@dataclass(frozen=True, slots=True)
class _Window:
    """The days that must be quiet."""

    days: float
    since: float

    def __str__(self) -> str:
        return f"the last {self.days:g} days"


class Retirements:
    """Judges whether anybody would miss the JWT path. Silence counts only for the time that somebody listened."""

    def __init__(self, uses: JwtUses, sessions: JwtSessions, clock: Clock) -> None:
        self._uses = uses
        self._sessions = sessions
        self._clock = clock
        self._lately: TTLCache[tuple[object, ...], Evidence] = TTLCache(REMEMBERED, REMEMBERED_S, timer=clock)
        self._guard = threading.Lock()

    def examine(self, tenant: Tenant, *, days: float | None = None) -> Retirement:
        """Return the verdict over so many days, by default the tenant's `quiet_days`. Raises StoreError."""
        window = self._window(tenant.quiet_days if days is None else days)
        theirs, report = self._heard(tenant, window)
        return Retirement(tenant.slug, window.since, [self._by_bridge(tenant, window), theirs], report)

    def report(self, tenant: Tenant, *, days: float | None = None, limit: int) -> StragglerReport:
        """Return the verdict with who and from where, the newest uses first. Raises StoreError."""
        judged = self.examine(tenant, days=days)
        return StragglerReport(
            retirement=judged,
            subjects=self._uses.subjects(tenant.slug, since=judged.since),
            origins=self._uses.origins(tenant.slug, since=judged.since),
            uses=self._uses.latest(tenant.slug, since=judged.since, limit=limit),
        )

    def conditions(self, state: TenantState, to: Stage) -> Iterator[UnmetCondition]:
        """Yield what speaks against closing the path, for a move to `retired` from an earlier stage."""
        if to is not Stage.RETIRED or state.rollout.stage is Stage.RETIRED:
            return
        tenant, window = state.tenant, self._window(state.tenant.quiet_days)
        for each in (self._by_bridge(tenant, window), self._heard_lately(tenant, window)):
            if each.verdict is not Verdict.SAFE:
                yield UnmetCondition(CONDITION, f"{each.why} See `qlik-bridge stragglers {tenant.slug}`.")

    def _window(self, days: float) -> _Window:
        return _Window(days, self._clock() - days * DAY_S)

    def _heard(self, tenant: Tenant, window: _Window) -> tuple[Evidence, SessionReport | None]:
        """Ask the tenant now."""
        try:
            report = self._sessions.read(tenant, since=window.since)
        except TenantError as failure:
            return _unread(tenant, failure), None
        return _by_tenant(tenant, report, window), report

    def _heard_lately(self, tenant: Tenant, window: _Window) -> Evidence:
        """Return what the tenant said within the last minute: plans are looked at often, and reading takes seconds."""
        providers = (tenant.issuer, tenant.key_id, tenant.sync_issuer, tenant.sync_key_id)
        key = (tenant.slug, tenant.host, *providers, tenant.management_client is None, window.days)
        with self._guard:
            found = self._lately.get(key)
        if found is None:
            found, _ = self._heard(tenant, window)
            with self._guard:
                self._lately[key] = found
        return found

    def _by_bridge(self, tenant: Tenant, window: _Window) -> Evidence:
        origins = self._uses.origins(tenant.slug, since=window.since)
        if origins:
            count = self._uses.subjects(tenant.slug, since=window.since)
            last = iso(max(each.last_seen for each in origins))
            pages = _listed(each.origin or "pages that do not say where they are" for each in origins)
            why = f"{_people(count)} asked the bridge for a legacy JWT in {window}, last at {last}, from {pages}."
            return Evidence(BRIDGE, Verdict.NOT_SAFE, f"{why} Move those pages (docs/how-to/move-a-page.md).")
        watched_since = self._uses.watched_since()
        if watched_since > window.since:
            due = iso(watched_since + window.days * DAY_S)
            why = f"The bridge notes uses since {iso(watched_since)} only, {window} end then on {due}. Wait until then."
            return Evidence(BRIDGE, Verdict.CANNOT_TELL, why)
        return Evidence(BRIDGE, Verdict.SAFE, f"Nobody asked the bridge for a legacy JWT in {window}.")


def _unread(tenant: Tenant, failure: TenantError) -> Evidence:
    why = f"The tenant's audit events cannot be read: {failure.message}"
    if tenant.management_client is None:
        why = (
            "The tenant's audit events cannot be read, and only they know of pages that sign JWTs without the bridge:"
            " give the tenant a `management_client` and apply."
        )
    return Evidence(TENANT, Verdict.CANNOT_TELL, why)


def _by_tenant(tenant: Tenant, report: SessionReport, window: _Window) -> Evidence:
    """Judge what the tenant's events say; one browser's session is enough against, whatever else is unclear."""
    if report.browsers:
        return Evidence(TENANT, Verdict.NOT_SAFE, _seen(report, window))
    doubts = list(_doubts(tenant, report, window))
    if doubts:
        return Evidence(TENANT, Verdict.CANNOT_TELL, " ".join(doubts))
    return Evidence(TENANT, Verdict.SAFE, _silent(report, window))


def _seen(report: SessionReport, window: _Window) -> str:
    last = iso(report.last_browser or 0)
    names = _listed(_most_first(report.browsers))
    return (
        f"{_people(len(report.browsers))} began a session by JWT in a browser in {window}, last at {last}: {names}."
        f" Told from the bridge's own logins by {_by(report)}."
    )


def _doubts(tenant: Tenant, report: SessionReport, window: _Window) -> Iterator[str]:
    if not report.knows_provider:
        yield (
            f"The tenant lists no JWT identity provider with issuer {tenant.issuer} and key id {tenant.key_id}, so"
            " sessions by it cannot be recognised: compare `issuer` and `key_id`."
        )
    if report.unclear:
        yield (
            f"{report.unclear} sessions by JWT in {window} are the bridge's own logins or a browser's: nothing tells"
            " them apart. Give the bridge an identity provider of its own (`sync_issuer`, `sync_key_id`, `sync_key`)."
        )
    if report.read_since > window.since:
        yield f"There are too many events: they were read back to {iso(report.read_since)} alone. Ask for fewer days."


def _silent(report: SessionReport, window: _Window) -> str:
    if not report.bridge:
        why = f"The tenant tells of no session by the bridge's JWT identity providers in {window}."
    else:
        why = (
            f"All {report.bridge} sessions by JWT in {window} were the bridge's own logins, told from a browser's by"
            f" {_by(report)}."
        )
    others = f" {report.others} more came by other JWT identity providers, which are not this portal's."
    return why + (others if report.others else "")


def _by(report: SessionReport) -> str:
    if report.apart is Apart.PROVIDER:
        return "the second identity provider"
    where = ", ".join(sorted(report.addresses))
    return f"their address (the bridge's: {where}; a browser behind the same one would count as the bridge)"


def _people(count: int) -> str:
    return "1 subject" if count == 1 else f"{count} subjects"


def _most_first(counts: Mapping[str, int]) -> Sequence[str]:
    return sorted(counts, key=lambda name: (-counts[name], name))


def _listed(names: Iterable[str]) -> str:
    listed = list(names)
    more = len(listed) - NAMES_SHOWN
    return ", ".join(listed[:NAMES_SHOWN]) + (f" and {more} more" if more > 0 else "")
