"""Examine a tenant: one line a check, causes before symptoms, each with what to do. Nothing is changed."""

import threading
from collections.abc import Iterator, Mapping

from cachetools import TTLCache

from bridge.diagnosis import Diagnosis, Finding, Light
from bridge.errors import TenantError, TenantGarbled, TenantThrottled, TenantTimeout, TenantUnavailable, UnmetCondition
from bridge.model import Stage, Tenant, TenantState
from bridge.ports import TenantStore
from bridge.services import doctor_clients, doctor_keys, doctor_pages, doctor_probe
from bridge.services.bulkhead import take_place
from bridge.services.doctor_case import Case, Check, HeldBackError, Tools
from bridge.texts import CONTROL_CHARACTERS

CHECKS: tuple[Check, ...] = (
    *doctor_keys.FIRST,
    *doctor_clients.MANAGEMENT,
    *doctor_keys.CHECKS,
    *doctor_clients.CHECKS,
    *doctor_pages.CHECKS,
    *doctor_probe.CHECKS,
)
"""In the order of cause and symptom: a check comes after all that it needs."""

CONDITION = "doctor"
REMEMBERED = 1000
REMEMBERED_S = 60
UNREAD = (
    "Try again. If it stays, see that the management client may read it (scope admin_classic, role TenantAdmin),"
    " and that `host` is the tenant's."
)
AWAY = (TenantUnavailable, TenantTimeout, TenantThrottled)


class Doctor:
    """Read-only, but for the login and token of a person who is named for it."""

    def __init__(self, tenants: TenantStore, tools: Tools) -> None:
        self._tenants = tenants
        self._tools = tools
        self._clean: TTLCache[str, Tenant] = TTLCache(REMEMBERED, REMEMBERED_S, timer=tools.clock)
        self._guard = threading.Lock()

    def examine(self, slug: str, probe_subject: str | None = None) -> Diagnosis:
        """Return every finding; *probe_subject* is logged in for real. Raises UnknownTenant, BridgeBusy, StoreError."""
        take_place(slug)
        case = Case(self._tenants.get(slug), self._tools, probe_subject)
        round_ = _Round(case)
        for check in CHECKS:
            round_.make(check)
        return Diagnosis(
            slug, self._tools.clock(), tuple(round_.findings.values()), round_.is_away, tuple(round_.unread)
        )

    def conditions(self, state: TenantState, _to: Stage) -> Iterator[UnmetCondition]:
        """Yield each red finding. Raises TenantUnavailable or TenantGarbled when it could not be examined whole.

        A tenant without a management client is examined as far as that goes. A clean tenant is not examined again for
        a minute: plans are looked at often. Whoever mends a line need not wait.
        """
        tenant = state.tenant
        if self._was_clean(tenant):
            return
        diagnosis = self.examine(tenant.slug)
        if diagnosis.is_away:
            see = f"see `qlik-bridge doctor {tenant.slug}`, and try again."
            raise TenantUnavailable(f"The tenant could not be examined: {see}")
        for finding in diagnosis.of(Light.RED):
            yield UnmetCondition(CONDITION, f"{finding.about}: {finding.cause} {finding.fix}")
        for finding in diagnosis.unread[:1]:  # the others mostly wait for the same
            raise TenantGarbled(f"{finding.about} could not be read: {finding.cause} {finding.fix}")
        if not diagnosis.of(Light.RED):
            self._note_clean(tenant)

    def _was_clean(self, tenant: Tenant) -> bool:
        with self._guard:
            return self._clean.get(tenant.slug) == tenant

    def _note_clean(self, tenant: Tenant) -> None:
        with self._guard:
            self._clean[tenant.slug] = tenant


class _Round:
    """The checks made so far."""

    def __init__(self, case: Case) -> None:
        self._case = case
        self.findings: dict[str, Finding] = {}
        self.unread: list[Finding] = []
        self.is_away = False

    def make(self, check: Check) -> None:
        held = self._held_by(check)
        self.findings[check.name] = _waiting(check, held, self.findings) if held else self._looked(check)

    def _held_by(self, check: Check) -> str:
        """Return the first cause that must be mended before this check says anything, or nothing."""
        for name in (*check.needs, *check.spoiled_by):
            finding = self.findings[name]
            is_open = finding.light is Light.NOT_CHECKED and name in check.needs
            if finding.light is Light.RED or is_open:
                return name
        return ""

    def _looked(self, check: Check) -> Finding:
        try:
            verdict = check.look(self._case)
        except HeldBackError as held:
            return _waiting(check, held.check, self.findings)
        except AWAY as error:
            return self._away(check, error)
        except TenantError as error:
            cause = f"{error.message} ({error.detail})"
            self.unread.append(Finding(check.name, check.about, Light.NOT_CHECKED, cause, UNREAD))
            return self.unread[-1]
        return Finding(check.name, check.about, verdict.light, _printable(verdict.cause), _printable(verdict.fix))

    def _away(self, check: Check, error: TenantError) -> Finding:
        self.is_away = True
        if isinstance(error, TenantThrottled):
            self._case.throttled_s = error.retry_after_s or 1.0
        is_first = check.name == "reach"
        fix = "Try again later; look at `host`, the network and status.qlikcloud.com." if is_first else ""
        light = Light.RED if is_first else Light.NOT_CHECKED
        return Finding(check.name, check.about, light, f"{error.message} ({error.detail})", fix)


def _waiting(check: Check, held_by: str, findings: Mapping[str, Finding]) -> Finding:
    """Return the finding of a check that could not be made, with the first cause of that."""
    cause = findings[findings[held_by].because or held_by]
    is_red = cause.light is Light.RED
    text = f"Mend {cause.about!r} first." if is_red else f"It needs {cause.about!r}, which was not checked."
    return Finding(check.name, check.about, Light.NOT_CHECKED, text, because=cause.check)


def _printable(text: str) -> str:
    """Return a text without what would move a terminal's cursor: names come from the tenant."""
    return CONTROL_CHARACTERS.sub("?", text)
