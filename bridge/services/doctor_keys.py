"""The doctor on who may log people in: the tenant itself, the keys, the identity providers, the clocks."""

from bridge.diagnosis import ADMINISTRATION, JwtProvider, key_fingerprint
from bridge.errors import TenantGarbled, TenantRefused, TenantThrottled, TenantTimeout, TenantUnavailable
from bridge.services.doctor_case import Case, Check, Verdict, amber, green, listed, not_checked, red
from bridge.services.signer import BACKDATE_S, LIFETIME_S

DAY_S = 86_400
CERTIFICATE_WARNING_DAYS = 60
SKEW_WORTH_A_WORD_S = 10.0
"""A Date header tells whole seconds, and an answer takes its time."""
SHOWN = 16
PROVIDERS = f"{ADMINISTRATION} > Identity provider"


def reach(case: Case) -> Verdict:
    host = case.tenant.host
    try:
        _ = case.greeting
    except (TenantUnavailable, TenantTimeout, TenantThrottled):
        raise
    except (TenantGarbled, TenantRefused) as error:
        cause = f"{host} answers, but not as a Qlik Cloud tenant does ({error.detail})."
        return red(
            cause, f"Correct `host` of tenant {case.tenant.slug} and apply: the tenant's own host, not an alias."
        )
    return green(f"{host} answers as a Qlik Cloud tenant.")


def keys(case: Case) -> Verdict:
    if not case.unusable_keys:
        return green(f"Usable: {listed(case.tenant.key_files())}.")
    why = " ".join(f"{name}: {problem}." for name, problem in sorted(case.unusable_keys.items()))
    return red(why, "Put the file into BRIDGE_KEYS_DIR, mode 0600, then run `qlik-bridge check`.")


def identity_provider(case: Case) -> Verdict:
    tenant = case.tenant
    return _provider(case, tenant.issuer, tenant.key_id, "issuer", "key_id")


def sync_provider(case: Case) -> Verdict:
    tenant = case.tenant
    if not (tenant.sync_issuer and tenant.sync_key_id):
        return not_checked("None is set: the bridge logs in by the same identity provider as the browsers. That works.")
    return _provider(case, tenant.sync_issuer, tenant.sync_key_id, "sync_issuer", "sync_key_id")


def _provider(case: Case, issuer: str, key_id: str, issuer_field: str, key_field: str) -> Verdict:
    found = case.provider(issuer, key_id)
    if found is None:
        return _no_provider(case, issuer, key_id, issuer_field, key_field)
    if not found.is_active:
        return red(
            f"The provider with issuer {issuer} is not active.", f"{PROVIDERS}: activate it, or make another one."
        )
    return green(f"The tenant has one with issuer {issuer} and key id {key_id}.")


def _no_provider(case: Case, issuer: str, key_id: str, issuer_field: str, key_field: str) -> Verdict:
    slug = case.tenant.slug
    same_issuer = [each.key_id for each in case.providers if each.issuer == issuer]
    same_key = [each.issuer for each in case.providers if each.key_id == key_id]
    if same_issuer:
        cause = f"The tenant knows issuer {issuer} with key id {listed(same_issuer)}, and we sign with key id {key_id}."
        return red(
            cause, f'Set `{key_field} = "{same_issuer[0]}"` for tenant {slug} and apply, if the key is the same.'
        )
    if same_key:
        cause = f"The tenant knows key id {key_id} with issuer {listed(same_key)}, and we sign as {issuer}."
        return red(cause, f'Set `{issuer_field} = "{same_key[0]}"` for tenant {slug} and apply.')
    known = listed([each.issuer for each in case.providers])
    cause = f"The tenant has no JWT identity provider with issuer {issuer} and key id {key_id}. Issuers there: {known}."
    fix = f"{PROVIDERS}: create one of type JWT with the certificate beside the key, issuer {issuer}, key id {key_id}."
    return red(cause, fix)


def signing_key(case: Case) -> Verdict:
    tenant = case.tenant
    return _key(case, case.provider(tenant.issuer, tenant.key_id), tenant.signing_key, tenant.key_id)


def sync_key(case: Case) -> Verdict:
    tenant = case.tenant
    found = case.provider(tenant.sync_issuer or "", tenant.sync_key_id or "")
    return _key(case, found, tenant.sync_key or "", tenant.sync_key_id or "")


def _key(case: Case, provider: JwtProvider | None, file: str, key_id: str) -> Verdict:
    case.need_key(file)
    ours = key_fingerprint(case.tools.keys.load(file).public_key())
    if provider is not None and provider.fingerprint == ours:
        return green(f"{file} is the key that the tenant knows as {key_id} (SHA-256 {ours[:SHOWN]}).")
    theirs = provider.fingerprint[:SHOWN] if provider else "none"
    return red(
        f"{file} (SHA-256 {ours[:SHOWN]}) is not the key that the tenant knows as {key_id} ({theirs}): no login works.",
        f"Put the right key into {file}; or make another identity provider with the certificate of {file} and a key id"
        " of its own, because the key of one cannot be changed, and set that key id here.",
    )


def clock(case: Case) -> Verdict:
    skew = case.greeting.skew_s
    if skew is None:
        return not_checked("The tenant's answer has no Date header.")
    way = f"The tenant's clock is {abs(skew):.0f} s {'ahead of' if skew > 0 else 'behind'} the bridge's"
    fix = "Set this machine's clock (NTP)."
    tolerance = _tolerance_s(case)
    if skew > LIFETIME_S + tolerance or skew < -(BACKDATE_S + tolerance):
        return red(f"{way}: every JWT that we sign is refused.", fix)
    if abs(skew) > SKEW_WORTH_A_WORD_S:
        return amber(f"{way}. JWTs still pass; proofs by key (private_key_jwt) may not.", fix)
    return green(f"The clocks differ by {abs(skew):.0f} s.")


def _tolerance_s(case: Case) -> float:
    """Return what our identity provider forgives, where it can be read; the stricter one of two."""
    ours = {case.tenant.issuer, case.tenant.sync_issuer}
    read = case.providers if case.can_read else ()
    return min((each.tolerance_s for each in read if each.issuer in ours), default=0.0)


def certificate(case: Case) -> Verdict:
    ours = {case.tenant.key_id, case.tenant.sync_key_id}
    ends = [(each.certificate_ends, each.key_id) for each in case.providers if each.key_id in ours]
    dated = [(end, key_id) for end, key_id in ends if end is not None]
    if not dated:
        return not_checked("The identity provider holds a bare public key, which has no end.")
    end, key_id = min(dated)
    days = (end - case.tools.clock()) / DAY_S
    fix = (
        "Make a key with `qlik-bridge keys new`, a second identity provider with its certificate, set `signing_key`,"
        " `key_id` and `issuer` to these, apply; then delete the old provider."
    )
    if days < 0:
        return red(f"The certificate of {key_id} ended {-days:.0f} days ago: Qlik may refuse logins.", fix)
    if days < CERTIFICATE_WARNING_DAYS:
        return amber(f"The certificate of {key_id} ends in {days:.0f} days.", fix)
    return green(f"The first to end is that of {key_id}, in {days:.0f} days.")


MANAGED = ("management_rights",)
CHECKS = (
    Check("identity_provider", "Identity provider", identity_provider, needs=MANAGED),
    Check("signing_key", "Signing key", signing_key, needs=("identity_provider",)),
    Check("sync_provider", "Identity provider for sync", sync_provider, needs=MANAGED),
    Check("sync_key", "Signing key for sync", sync_key, needs=("sync_provider",)),
    Check("certificate", "Certificate", certificate, needs=("identity_provider",)),
    Check("clock", "Clocks", clock, needs=("reach",)),
)
FIRST = (Check("reach", "Host", reach), Check("keys", "Key files", keys))
