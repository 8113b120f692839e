"""The doctor on the OAuth clients: what each may do, and that neither may do what the other is for."""

from collections.abc import Callable

from bridge.diagnosis import ADMINISTRATION, ClientFacts, ClientSecret, key_fingerprint
from bridge.errors import TenantRefused
from bridge.model import OAuthClient
from bridge.sealing import LOCKED
from bridge.services.doctor_case import Case, Check, HeldBackError, Verdict, amber, green, listed, not_checked, red

IMPERSONATION = "urn:qlik:oauth:user-impersonation"
CLIENT_CREDENTIALS = "client_credentials"
ADMIN_CLASSIC = "admin_classic"
DAY_S = 86_400
SECRET_OLD_DAYS = 365
FORBIDDEN = 403
WHERE = f"{ADMINISTRATION} > OAuth"


def management_client(case: Case) -> Verdict:
    client = case.tenant.management_client
    if client is None:
        fix = "Optional: make one (client credentials; admin_classic, user_default), set `management_client`, apply."
        return not_checked("None is set, so that most of what the tenant holds cannot be read.", fix)
    case.need_key(client.key)
    try:
        case.tools.set_up.sign_in(case.tenant)
    except TenantRefused as refusal:
        cause = f"Client {client.id} gets no token ({refusal.detail})."
        fix = f"{WHERE}: see that it exists, that client credentials and scope admin_classic are on, and that our {{}}."
        return red(cause, fix.format("key is registered" if client.key else "secret is one of its secrets"))
    return green(f"Client {client.id} signs in.")


def management_rights(case: Case) -> Verdict:
    try:
        found = case.management
    except TenantRefused as refusal:
        if refusal.status != FORBIDDEN:
            raise
        cause = f"The management client may not read the tenant's set-up ({refusal.detail})."
        return red(cause, f"{WHERE}: give it scope {ADMIN_CLASSIC}; and its bot user the role TenantAdmin.")
    case.can_read = True
    if found is not None and IMPERSONATION in found.grants and not _is_issuing_too(case):
        cause = f"{_named(found)} may also impersonate anybody: whoever has its secret is everyone and administrator."
        return amber(cause, f"{WHERE} > {found.name}: take user impersonation away.")
    return green("The management client reads the tenant's set-up.")


def _is_issuing_too(case: Case) -> bool:
    """Tell whether one client does both jobs, which is a line of its own."""
    issuing, management = case.tenant.issuing_client, case.tenant.management_client
    return issuing is not None and management is not None and issuing.id == management.id


def clients_apart(case: Case) -> Verdict:
    if case.tenant.issuing_client is None or case.tenant.management_client is None:
        return not_checked("There are no two clients to tell apart.")
    if _is_issuing_too(case):
        fix = f"{WHERE}: make a second client for one of the two jobs, set it for tenant {case.tenant.slug}, apply."
        return red("One client issues tokens and administers: whoever has its secret owns the tenant.", fix)
    return green("Tokens are issued by another client than the one that administers.")


def issuing_client(case: Case) -> Verdict:
    configured = case.tenant.issuing_client
    if configured is None:
        fix = f"{WHERE}: make a client of type Web (user impersonation, user_default, Trusted), set `issuing_client`."
        return red("The tenant has none set: no impersonation token can be minted.", fix)
    case.need_reading()
    if case.issuing is None:
        fix = f"{WHERE}: copy the id of the right client into `issuing_client`, and its secret; apply."
        return red(f"The tenant knows no client {configured.id}.", fix)
    if case.issuing.is_disabled:
        return red(f"{_named(case.issuing)} is disabled.", f"{WHERE} > {case.issuing.name}: enable it.")
    return green(f"The tenant knows it as {case.issuing.name!r}.")


def _issuing(look: Callable[[Case, ClientFacts], Verdict]) -> Callable[[Case], Verdict]:
    """Give a check the issuing client, which `issuing_client` has found."""

    def looked(case: Case) -> Verdict:
        if case.issuing is None:
            raise HeldBackError("issuing_client")
        return look(case, case.issuing)

    return looked


def published(_case: Case, client: ClientFacts) -> Verdict:
    if client.is_published:
        cause = f"{_named(client)} is published, and a published client's consent is always Required."
        return red(cause, f"{WHERE}: make another client, do not publish it, set it as `issuing_client`, apply.")
    return green("It is not published.")


def consent(_case: Case, client: ClientFacts) -> Verdict:
    if client.consent != "trusted":
        cause = f"Its consent is {client.consent.capitalize() or 'not set'}, so that every impersonation is refused."
        return red(cause, f"{WHERE} > {client.name} > Change consent method: Trusted.")
    return green("Its consent is Trusted.")


def grant(_case: Case, client: ClientFacts) -> Verdict:
    if IMPERSONATION not in client.grants:
        cause = f"It may not impersonate; its grants: {listed(client.grants)}."
        return red(cause, f"{WHERE} > {client.name}: allow user impersonation.")
    return green("It may impersonate.")


def no_credentials_grant(_case: Case, client: ClientFacts) -> Verdict:
    if CLIENT_CREDENTIALS in client.grants:
        cause = "It also has client credentials: whoever has its secret acts as an administrator's bot."
        return red(cause, f"{WHERE} > {client.name}: take client credentials away; the management client has them.")
    return green("It has no client credentials.")


def scope(case: Case, client: ClientFacts) -> Verdict:
    missing = frozenset(case.tenant.scope.split()) - client.scopes
    if missing:
        cause = f"It lacks {listed(missing)}, which we ask for; it has {listed(client.scopes)}."
        return red(cause, f"{WHERE} > {client.name}: add the scope, or change `scope` of tenant {case.tenant.slug}.")
    return green(f"It has what we ask for: {case.tenant.scope}.")


def no_admin_scope(_case: Case, client: ClientFacts) -> Verdict:
    found = frozenset(each for each in client.scopes if each == ADMIN_CLASSIC or each.startswith("admin."))
    if found:
        cause = f"It has {listed(found)}: tokens of administrators would carry that into pages."
        return red(cause, f"{WHERE} > {client.name}: take {listed(found)} away.")
    return green("It has no administrative scope.")


def credential(case: Case, client: ClientFacts) -> Verdict:
    configured = case.tenant.issuing_client
    if configured is None:
        raise HeldBackError("issuing_client")
    return _by_key(case, configured, client) if configured.key else _by_secret(configured, client)


def _by_secret(configured: OAuthClient, client: ClientFacts) -> Verdict:
    if configured.is_locked:
        return red("Its secret is locked.", LOCKED)
    if client.auth_methods and "client_secret" not in client.auth_methods:
        cause = f"We prove ourselves by secret, and it takes {listed(client.auth_methods)} alone."
        return red(
            cause, f"{WHERE} > {client.name}: allow client secrets, or give `key` and `key_id` instead of `secret`."
        )
    if _ours(configured, client) is None:
        hints = listed([each.hint for each in client.secrets])
        fix = (
            f"{WHERE} > {client.name}: make a secret, give it as `secret`, apply. A login with --probe tells for sure."
        )
        return amber(f"Our secret does not look like any of its secrets (hints: {hints}): deleted, perhaps.", fix)
    return green("Our secret looks like one of its secrets.")


def _by_key(case: Case, configured: OAuthClient, client: ClientFacts) -> Verdict:
    case.need_key(configured.key)
    if client.auth_methods and "private_key_jwt" not in client.auth_methods:
        cause = f"We prove ourselves by key, and it takes {listed(client.auth_methods)} alone."
        return red(cause, f"{WHERE} > {client.name}: allow private_key_jwt.")
    ours = key_fingerprint(case.tools.keys.load(configured.key or "").public_key())
    if client.keys.get(configured.key_id or "") != ours:
        known = listed([*client.keys])
        cause = f"The tenant does not know {configured.key} as key {configured.key_id}; key ids there: {known}."
        fix = f"{WHERE} > {client.name}: register the public key of {configured.key} as {configured.key_id}."
        return red(cause, fix)
    return green(f"The tenant knows its key {configured.key_id}.")


def _ours(configured: OAuthClient, client: ClientFacts) -> ClientSecret | None:
    """Return the secret that is ours, by its hint: Qlik does not say which characters of it a hint is."""
    value = configured.secret.get_secret_value() if configured.secret else ""
    return next((each for each in client.secrets if each.hint and each.hint in value), None)


def origins(case: Case, client: ClientFacts) -> Verdict:
    missing = [each for each in case.page_origins if each not in client.origins]
    if missing:
        near = [each for each in client.origins if each.rstrip("/") in missing]
        note = f" Written there as {listed(near)}: an origin has no slash at its end." if near else ""
        cause = (
            f"It does not list {listed(missing)}: tokens are minted, and then no chart opens there (OAUTH-29).{note}"
        )
        return red(cause, f"{WHERE} > {client.name} > Allowed origins: add {listed(missing)}. Five fit.")
    return green(f"It lists {listed(case.page_origins)}.")


def secret_age(case: Case) -> Verdict:
    pairs = ((case.tenant.issuing_client, case.issuing), (case.tenant.management_client, case.management))
    ages = [
        (age, found.name) for own, found in pairs if own and found and (age := _age_days(case, own, found)) is not None
    ]
    if not ages:
        return not_checked("No client proves itself by a secret whose time is known.")
    days, name = max(ages)
    if days > SECRET_OLD_DAYS:
        fix = f"{WHERE} > {name}: make a second secret, give it as `secret`, apply, then delete the old one."
        return amber(f"The secret of {name!r} is {days:.0f} days old.", fix)
    return green(f"The oldest is that of {name!r}, {days:.0f} days.")


def _age_days(case: Case, configured: OAuthClient, client: ClientFacts) -> float | None:
    if configured.secret is None:
        return None
    times = [each.created_at for each in client.secrets if each.created_at is not None]
    ours = _ours(configured, client)
    created = ours.created_at if ours else min(times, default=None)
    return None if created is None else (case.tools.clock() - created) / DAY_S


def _named(client: ClientFacts) -> str:
    return f"{client.name!r}"


MANAGEMENT = (
    Check("management_client", "Management client", management_client, needs=("reach",)),
    Check("management_rights", "Its rights", management_rights, needs=("management_client",)),
    Check("clients_apart", "Two clients", clients_apart),
)
FOUND = ("issuing_client",)
CHECKS = (
    Check("issuing_client", "Issuing client", issuing_client),
    Check("issuing_published", "Issuing client: published", _issuing(published), needs=FOUND),
    Check("issuing_consent", "Issuing client: consent", _issuing(consent), needs=("issuing_published",)),
    Check("issuing_grant", "Issuing client: impersonation", _issuing(grant), needs=FOUND),
    Check("issuing_no_credentials", "Issuing client: client credentials", _issuing(no_credentials_grant), needs=FOUND),
    Check("issuing_scope", "Issuing client: scope", _issuing(scope), needs=FOUND),
    Check("issuing_no_admin", "Issuing client: administration", _issuing(no_admin_scope), needs=FOUND),
    Check("issuing_credential", "Issuing client: proof", _issuing(credential), needs=FOUND),
    Check("issuing_origins", "Issuing client: origins", _issuing(origins), needs=FOUND),
    Check("secret_age", "Age of secrets", secret_age, needs=FOUND),
)
