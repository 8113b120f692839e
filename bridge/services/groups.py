"""Group sync: is it needed, do it, remember it."""

from collections.abc import Callable
from dataclasses import replace
from functools import partial

import structlog

from bridge.errors import (
    BudgetSpent,
    NotAllowed,
    SubjectNotProvisioned,
    SyncRefused,
    TenantError,
    TenantRefused,
    TenantThrottled,
    TenantUnavailable,
)
from bridge.model import Identity, QlikUser, SubjectRecord, Tenant
from bridge.ports import Clock, Qlik, Sign, SubjectStore
from bridge.services.budget import is_weaker
from bridge.services.bulkhead import take_place
from bridge.services.flight import SingleFlight
from bridge.services.signer import BACKDATE_S, LIFETIME_S, Signer
from bridge.telemetry import Metrics

log = structlog.get_logger()

FORBIDDEN = 403
WRITE_TIER = 2
NAMES_SHOWN = 10
MOMENT_S = 1.0
"""Clocks of machines agree to a second: within it nobody can say which of two facts is the older one."""
CALLS = 2
"""What a person who must log in claims: the login, and the mint that follows."""


TurnBack = Callable[[Tenant, int], object]
"""Raises BudgetSpent where it is known that so many calls cannot be claimed, as Budget.turn_back does."""
LogIn = Callable[[SubjectRecord, Sign], QlikUser]
"""Trade a legacy JWT, signed for the facts of a record, for the user that the tenant makes of it."""


class GroupSync:
    """Make the tenant's memberships match the subject's groups by a backend JWT login.

    Nothing in Qlik Cloud but a login brings a user and their `idp` groups into being, so this comes before
    every first impersonation (Qlik: changelog 84), and again whenever name, e-mail or groups change.
    """

    def __init__(
        self,
        qlik: Qlik,
        signer: Signer,
        subjects: SubjectStore,
        clock: Clock,
        metrics: Metrics,
        *,
        turn_back: TurnBack = lambda *_: None,
    ) -> None:
        self._turn_back = turn_back
        self._qlik = qlik
        self._signer = signer
        self._subjects = subjects
        self._clock = clock
        self._metrics = metrics
        self._flights = SingleFlight[SubjectRecord](again=is_weaker)

    def note(self, tenant: Tenant, identity: Identity, *, login_follows: bool = False) -> SubjectRecord:
        """Return the one row of this subject, with the newest facts that anyone asserted.

        Raises BudgetSpent or BridgeBusy where a *login_follows* for which there is no call or no place, before anything
        is written.
        """
        subject = identity.subject
        known = self._subjects.get(tenant.slug, subject.sub)
        if known and not _is_news(known, identity):
            return known
        if known is None and login_follows:
            self._turn_back(tenant, CALLS)
            take_place(tenant.slug)
        return self._subjects.note(tenant.slug, subject, identity.asserted_at)

    def synced(self, tenant: Tenant, identity: Identity) -> SubjectRecord | None:
        """Return the row that `ensure` would return at once: nothing is new of this person, and no login is due."""
        known = self._subjects.get(tenant.slug, identity.subject.sub)
        if known is None or _is_news(known, identity):
            return None
        return known if known.is_synced(now=self._clock(), max_age_s=tenant.sync_max_age_s) else None

    def admitted(self, tenant: Tenant, identity: Identity) -> SubjectRecord:
        """Return the newest row of a person who may use the tenant; a login would create anybody else there."""
        record = self.note(tenant, identity)
        if not tenant.has_member(record.subject):
            raise NotAllowed("This person may not use the tenant: they are not in its `required_group`.")
        return record

    def ensure(self, tenant: Tenant, identity: Identity, *, ahead: bool = False, early: bool = False) -> SubjectRecord:
        """Return the subject's row, synced now or recently enough.

        *ahead* of need a failed sync is not bridged by the last good one; *early*, one counts for half of its time.
        Raises SyncRefused, SubjectNotProvisioned, or the TenantError of a failed sync that may not be
        bridged by the last good one.
        """
        record = self.note(tenant, identity, login_follows=True)
        max_age_s = tenant.sync_max_age_s / 2 if early else tenant.sync_max_age_s
        while not record.is_synced(now=self._clock(), max_age_s=max_age_s):
            work = partial(self._sync_newest, tenant, record, max_age_s, ahead=ahead)
            key = (tenant.slug, record.subject.sub, ahead, early)
            try:
                if not self._flights.is_flying(key):
                    self._turn_back_unless_synced(tenant, record, max_age_s)
                take_place(tenant.slug)
                outcome = self._flights.run(key, work)
            except TenantError as failure:  # another's, and all that is known of it; ours was bridged if it may be
                if ahead:
                    raise
                return self._last_good(tenant, self._newest(tenant, record), failure)
            if outcome.subject == record.subject or outcome.asserted_at > record.asserted_at:
                return outcome
            record = self._newest(tenant, record)  # that login had begun before these facts were noted
        return record

    def _turn_back_unless_synced(self, tenant: Tenant, record: SubjectRecord, max_age_s: float) -> None:
        """Raise BudgetSpent for who would hear it anyway, before they take a place; another worker may have synced."""
        try:
            self._turn_back(tenant, CALLS)
        except BudgetSpent:
            if not self._newest(tenant, record).is_synced(now=self._clock(), max_age_s=max_age_s):
                raise

    def renew(self, tenant: Tenant, sub: str, log_in: LogIn) -> SubjectRecord:
        """Sync now, whatever is known, by a login of the caller's own that looks at more than the groups.

        It signs the newest facts, as every sync does. Raises SyncRefused, SubjectNotProvisioned, or the TenantError.
        """
        record = self._subjects.get(tenant.slug, sub, fresh=True)
        if record is None:
            raise SubjectNotProvisioned(detail="nobody of this subject was ever noted")
        try:
            user = self._log_in(tenant, record, log_in)
        except TenantError as failure:
            self._note_failed(tenant, record, failure)
            raise
        return self._accept(tenant, record, user)

    def expect_browser_login(self, tenant: Tenant, sub: str) -> None:
        """Mark the memberships as unknown from now until the JWT that a browser gets is dead, on any clock."""
        self._subjects.note_browser_login(tenant.slug, sub, self._clock() + LIFETIME_S + BACKDATE_S)

    def forget(self, tenant: Tenant, sub: str) -> None:
        """Mark what the tenant knows of this subject as unknown."""
        self._subjects.forget_sync(tenant.slug, sub)

    def _newest(self, tenant: Tenant, noted: SubjectRecord) -> SubjectRecord:
        return self._subjects.get(tenant.slug, noted.subject.sub, fresh=True) or noted

    def _sync_newest(self, tenant: Tenant, noted: SubjectRecord, max_age_s: float, *, ahead: bool) -> SubjectRecord:
        """Sync from the stored row: another worker may have synced, or know newer groups."""
        record = self._newest(tenant, noted)
        if record.is_synced(now=self._clock(), max_age_s=max_age_s):
            return record
        try:
            user = self._log_in(tenant, record, lambda _, sign: self._qlik.log_in(tenant, sign))
        except TenantError as failure:
            self._note_failed(tenant, record, failure)
            if ahead:
                raise
            return self._last_good(tenant, record, failure)
        return self._accept(tenant, record, user)

    def _log_in(self, tenant: Tenant, record: SubjectRecord, log_in: LogIn) -> QlikUser:
        """Log in, once more after a lost connection: with a fresh JWT, because each is single use."""
        sign = partial(self._signer.for_sync, tenant, record.subject)
        try:
            return log_in(record, sign)
        except TenantUnavailable as failure:
            if failure.retry_after_s is not None:
                raise
            return log_in(record, sign)

    def _accept(self, tenant: Tenant, record: SubjectRecord, user: QlikUser) -> SubjectRecord:
        self._refuse_strangers(tenant, record, user)
        missing = record.subject.groups - user.idp_groups
        self._metrics.syncs.labels(tenant.slug, "missing_groups" if missing else "ok").inc()
        if missing:
            log.warning("groups_missing", tenant=tenant.slug, groups=_some(missing), cause=self._cause(tenant))
        synced = replace(
            record,
            user_id=user.id,
            synced_fingerprint=record.subject.fingerprint(),
            synced_groups=user.idp_groups,
            synced_at=self._clock(),
        )
        self._subjects.record_sync(synced)
        return synced

    def _refuse_strangers(self, tenant: Tenant, record: SubjectRecord, user: QlikUser) -> None:
        """Refuse when the tenant logged in somebody else, or would show the subject more than they may see.

        What was good before is forgotten, or the next failed sync would be bridged by it.
        """
        if user.subject != record.subject.sub:
            self._metrics.syncs.labels(tenant.slug, "other_subject").inc()
            self.forget(tenant, record.subject.sub)
            raise SyncRefused(
                "Qlik Cloud knows this person under another subject, so no token is issued. Ask an operator.",
                detail="the session's subject is not the one that was signed",
            )
        extra = user.idp_groups - record.subject.groups
        if extra:
            self._metrics.syncs.labels(tenant.slug, "extra_groups").inc()
            self.forget(tenant, record.subject.sub)
            raise SyncRefused(detail=f"{tenant.slug}: the tenant still has the groups {_some(extra)}")

    def _note_failed(self, tenant: Tenant, record: SubjectRecord, failure: TenantError) -> None:
        """Remember what a failed login may have changed. Raises SubjectNotProvisioned where the user is disabled.

        A login whose answer is lost may have arrived: its groups count as held from then on.
        """
        self._metrics.syncs.labels(tenant.slug, failure.code()).inc()
        if isinstance(failure, TenantRefused) and failure.status == FORBIDDEN:
            self.forget(tenant, record.subject.sub)
            raise SubjectNotProvisioned(detail=failure.detail) from failure
        if not (isinstance(failure, TenantThrottled) and failure.tier == WRITE_TIER):
            self._note_unclear(record)  # the login itself may have worked, and only the question who that was failed

    def _last_good(self, tenant: Tenant, record: SubjectRecord, failure: TenantError) -> SubjectRecord:
        """Serve on the last good sync, but fail closed when a group was taken away since.

        Unknown memberships have no last good sync: a browser that logged in by itself may have brought groups
        that ours did not see.
        """
        taken_away = record.synced_groups - record.subject.groups
        if not record.has_last_good(now=self._clock()) or taken_away:
            raise failure
        self._metrics.stale_syncs.labels(tenant.slug).inc()
        log.warning("sync_failed_served_on_last_good", tenant=tenant.slug, error=failure.code(), detail=failure.detail)
        return record

    def _note_unclear(self, record: SubjectRecord) -> None:
        """Write once what the tenant may hold by now; an outage must not write with every request."""
        is_news = record.synced_fingerprint is not None or not record.subject.groups <= record.synced_groups
        if is_news:
            self._subjects.note_unclear_sync(record.tenant, record.subject)

    def _cause(self, tenant: Tenant) -> str:
        """Say why groups are missing, where the management client lets us look."""
        if tenant.management_client is None:
            return "probably auto-creation of groups is off; no management client to ask with"
        try:
            on = self._qlik.auto_creates_groups(tenant)
        except TenantError as failure:
            return f"probably auto-creation of groups is off; asking failed: {failure.code()}"
        return "unknown: auto-creation of groups is on" if on else "auto-creation of groups is off in the tenant"


def _is_news(known: SubjectRecord, identity: Identity) -> bool:
    """Tell whether facts are newer than those that are known, or of the same moment and others.

    The same facts are noted once a moment: a proxy asserts them with each request of a page.
    """
    newer_s = identity.asserted_at - known.asserted_at
    if newer_s < 0:
        return False
    return newer_s >= MOMENT_S or known.subject != identity.subject


def _some(names: frozenset[str]) -> list[str]:
    return sorted(names)[:NAMES_SHOWN]
