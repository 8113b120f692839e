"""The doctor's rehearsal, when asked for: a real login and token of one person whom the bridge knows."""

from functools import partial

from bridge.diagnosis import ADMINISTRATION
from bridge.errors import SyncRefused, TenantRefused
from bridge.services.doctor_case import Case, Check, HeldBackError, Verdict, amber, green, listed, not_checked, red

USERS = f"{ADMINISTRATION} > Users"
FORBIDDEN = 403
BUSY_PERCENT = 70


def login(case: Case) -> Verdict:
    """Log the person in with the newest facts that anyone asserted: others could take groups away."""
    sub = case.probe_subject
    if sub is None:
        cause = "It needs a real login of a person, which happens when asked for alone."
        return not_checked(cause, f"qlik-bridge doctor {case.tenant.slug} --probe SUBJECT")
    record = case.tools.subjects.get(case.tenant.slug, sub, fresh=True)
    if record is None:
        cause = (
            "The bridge has not met this person in this tenant, and a login with guessed groups could take theirs away."
        )
        return not_checked(cause, "Let them open a page of the tenant first; or name somebody who did.")
    case.need_key(case.tenant.sync_key or case.tenant.signing_key)
    try:
        sign = partial(case.tools.signer.for_sync, case.tenant, record.subject)
        user = case.tools.qlik.log_in(case.tenant, sign)
    except TenantRefused as refusal:
        return _refused(refusal)
    except SyncRefused as refusal:
        return red(refusal.message, "Send this person's needed groups alone.")
    if user.subject != sub:
        cause = "The tenant logs this person in under another subject."
        return red(cause, f"{USERS}: look for two users whose subjects differ by case alone; delete one.")
    case.probed, case.probed_user = record.subject, user
    return green("The person is logged in.")


def _refused(refusal: TenantRefused) -> Verdict:
    if refusal.status == FORBIDDEN:
        return red(f"The tenant does not let the person in ({refusal.detail}).", f"{USERS}: enable or invite them.")
    fix = "Look at the lines above; where all are green, the tenant's own log names the trace."
    return red(f"The tenant refuses our JWT ({refusal.detail}).", fix)


def groups(case: Case) -> Verdict:
    if case.probed is None or case.probed_user is None:
        raise HeldBackError("probe_login")
    missing = case.probed.groups - case.probed_user.idp_groups
    extra = case.probed_user.idp_groups - case.probed.groups
    if extra:
        cause = (
            f"After the login the person still has {listed(extra)}, which the portal did not send: no token is issued."
        )
        return red(cause, f"{USERS}: see where they come from; a second identity provider or SCIM, perhaps.")
    if missing:
        fix = "Create them by a login with creation of groups on, or rename them: names differ by case."
        return red(f"After the login the person lacks {listed(missing)}.", fix)
    return green(f"The tenant has the person's {len(case.probed.groups)} groups.")


def token(case: Case) -> Verdict:
    """Mint a token, ask whose it is, and end it."""
    user = case.probed_user
    if user is None:
        raise HeldBackError("probe_login")
    try:
        minted = case.tools.qlik.mint(case.tenant, user.id)
    except TenantRefused as refusal:
        fix = (
            "Make a new secret (or key) for the issuing client and apply; see that grant, scope and consent are right."
        )
        return red(f"The tenant mints no token for the person ({refusal.detail}).", fix)
    try:
        speaks_for = case.tools.qlik.whoami(case.tenant, minted.value)
    finally:
        case.tools.qlik.revoke(case.tenant, minted.value)
    if speaks_for.id != user.id:
        return red(
            "The token speaks for somebody else.",
            "Report this to Qlik, and stop issuing: `qlik-bridge stage rollback`.",
        )
    return green("A token was minted, speaks for the person, and was ended.")


def budget(case: Case) -> Verdict:
    state = case.tools.budget.state(case.tenant)
    fix = f"See `qlik-bridge budget {case.tenant.slug}`, and what else uses the tenant's limit; then examine again."
    if case.throttled_s is not None or state.frozen_s:
        return amber(f"Qlik asks us to wait {case.throttled_s or state.frozen_s:.0f} s.", fix)
    told = f"{state.spent} of our {state.book.limit.budget} calls in {state.book.limit.window_s / 60:g} min are spent"
    if state.used_percent >= BUSY_PERCENT:
        return amber(f"{told}.", fix)
    return green(f"{told}. Qlik tells nobody how many of its own are left, and did not ask us to slow down.")


LOGIN_NEEDS = ("clock", "identity_provider", "signing_key", "sync_provider", "sync_key")
TOKEN_NEEDS = (
    "issuing_client",
    "issuing_published",
    "issuing_consent",
    "issuing_grant",
    "issuing_scope",
    "issuing_credential",
)
CHECKS = (
    Check("probe_login", "Dry run: login", login, needs=("reach",), spoiled_by=LOGIN_NEEDS),
    Check("probe_groups", "Dry run: groups", groups, needs=("probe_login",), spoiled_by=("groups",)),
    Check("probe_token", "Dry run: token", token, needs=("probe_login",), spoiled_by=TOKEN_NEEDS),
    Check("budget", "Budget", budget, needs=("reach",)),
)
