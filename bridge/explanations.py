"""What each error code means, what usually causes it, and what to change where. Frozen, no I/O."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

from bridge.diagnosis import ADMINISTRATION

Place = Literal["plan", "doctor", "parity", "stragglers", "audit"]
"""A page of the console about the tenant."""

OAUTH = f"{ADMINISTRATION} > OAuth"
USERS = f"{ADMINISTRATION} > Users"
SPACES = "In Qlik Cloud, the app's space > Manage members"
APPLY = "`qlik-bridge tenants apply`"


@dataclass(frozen=True, slots=True)
class Cause:
    """One likely cause, what to change where, and the page of the console that shows whether it is this one."""

    why: str
    fix: str
    see: Place | None = None


@dataclass(frozen=True, slots=True)
class Explanation:
    """What a code means (as in docs/reference/errors.md), what people notice, and its causes, the likeliest first."""

    meaning: str
    people: str
    causes: tuple[Cause, ...]


ON_THE_PAGE = "Their charts stay empty, and the page says why."
LATER = "Whoever has a token with life left goes on; others see empty charts until it is over."
NOTHING = "Nobody's charts: this concerns whoever called the API, a command or the console."

_TENANT: Mapping[str, Explanation] = {
    "subject_not_provisioned": Explanation(
        "the tenant does not let this person in or will not impersonate them",
        ON_THE_PAGE,
        (
            Cause("The user is disabled or was deleted.", f"{USERS}: enable or invite them.", "parity"),
            Cause(
                "The issuing client may not impersonate, is not Trusted, or lacks the scope. Then nobody gets a token.",
                f"{OAUTH} > the issuing client: allow user impersonation, set consent to Trusted, add `user_default`.",
                "doctor",
            ),
            Cause(
                "Its secret or key was replaced. Then nobody gets a token either.",
                f"{OAUTH} > the issuing client: make a secret, give it as `secret` in the tenants file, then {APPLY}.",
                "doctor",
            ),
        ),
    ),
    "sync_refused": Explanation(
        "the tenant's groups would show the person more than they may see, or the JWT is too long for a header",
        "They get no token, so that they cannot see more than the portal allows.",
        (
            Cause(
                "The tenant still has a group that the portal did not send.",
                f"{USERS}: see where it comes from; a second identity provider or SCIM, perhaps.",
                "doctor",
            ),
            Cause(
                "The person has so many groups that their JWT does not pass as a header.",
                "In the portal: send the groups that Qlik Cloud needs, and no others.",
            ),
            Cause(
                "Two users of the tenant have subjects that differ by case alone.",
                f"{USERS}: delete the one that nobody uses, or send `sub` as the other one spells it.",
            ),
        ),
    ),
    "tenant_refused": Explanation(
        "the tenant refused the bridge itself",
        "Nobody gets a new token. " + LATER,
        (
            Cause(
                "The JWT identity provider is inactive, or its issuer, key id or key is not the one that we sign with.",
                f"{ADMINISTRATION} > Identity provider: compare with `issuer`, `key_id` and `qlik-bridge keys list`.",
                "doctor",
            ),
            Cause(
                "The clock of the bridge's machine is off.", "On the machine: turn time synchronisation on.", "doctor"
            ),
            Cause(
                "The issuing client was deleted or disabled.",
                f"{OAUTH}: enable it, or make another one, set it as `issuing_client`, then {APPLY}.",
                "doctor",
            ),
            Cause(
                "A key file of the tenant is missing or unusable.",
                "Put the file into `BRIDGE_KEYS_DIR`, mode 0600, then run `qlik-bridge check`.",
                "doctor",
            ),
        ),
    ),
    "tenant_throttled": Explanation(
        "the tenant answered 429: its whole tier is left alone until `Retry-After`",
        "Pages wait and ask again. " + LATER,
        (
            Cause(
                "More people came at once than Qlik allows logins and tokens.",
                "Move in smaller steps: `qlik-bridge stage ramp pause {slug}`, or a ramp with longer holds. A"
                " `sync_max_age_s` above a day halves the calls.",
                "plan",
            ),
            Cause(
                "Something else uses the limit of the same tenant: another bridge, a script, a parity run.",
                "Run `qlik-bridge parity` with a smaller `--per-minute`, and lower `sample_percent` of shadow.",
                "parity",
            ),
        ),
    ),
    "tenant_unavailable": Explanation(
        "the tenant cannot be reached, answers 5xx, or is given a pause after repeated failures",
        LATER,
        (
            Cause("Qlik Cloud has an outage.", "See Qlik's status page for the tenant's region, and wait.", "doctor"),
            Cause(
                "The bridge's way out is closed: name server, firewall or proxy.",
                "On the machine: let the bridge reach the tenant's host by https and wss on port 443.",
                "doctor",
            ),
            Cause("The tenant moved.", f"In the tenants file: correct `host`, then {APPLY}.", "doctor"),
        ),
    ),
    "tenant_timeout": Explanation(
        "the tenant did not answer in time",
        LATER,
        (
            Cause("Qlik Cloud is slow.", "See Qlik's status page for the tenant's region, and wait.", "doctor"),
            Cause(
                "A firewall between drops packets without a word.",
                "On the machine: let the bridge reach the tenant's host by https and wss on port 443.",
            ),
        ),
    ),
    "still_waiting": Explanation(
        "another request logs the same person in already, and takes too long",
        LATER,
        (
            Cause("Qlik Cloud is slow.", "See Qlik's status page for the tenant's region, and wait.", "doctor"),
            Cause(
                "A worker of the bridge ended while it logged people in.",
                "Nothing: another one takes over within a quarter of a minute.",
            ),
        ),
    ),
    "tenant_garbled": Explanation(
        "the tenant's answer is not what its contract says; check the host",
        "Nobody gets a new token. " + LATER,
        (
            Cause(
                "`host` is an alias, a proxy's page or not a Qlik Cloud tenant.",
                f"In the tenants file: set `host` to the tenant's own host, not an alias, then {APPLY}.",
                "doctor",
            ),
            Cause(
                "A proxy between changes answers or asks for a sign-in.",
                "On the proxy: let the tenant's host pass unchanged.",
            ),
        ),
    ),
    "budget_spent": Explanation(
        "our own budget of calls to this tenant is used up",
        "New people wait as long as `Retry-After` says; whoever has a token goes on.",
        (
            Cause(
                "More people came at once than the budget serves.",
                "Move in smaller steps: `qlik-bridge stage ramp pause {slug}`, or a ramp with longer holds.",
                "plan",
            ),
            Cause(
                "The budget leaves more to browsers than they need, or Qlik allows this tenant more by now.",
                "On the machine: lower `BRIDGE_BUDGET_MARGIN_PERCENT`, or raise `BRIDGE_BUDGET_CALLS_PER_MINUTE`.",
            ),
        ),
    ),
    "app_refused": Explanation(
        "the tenant does not let this person open the app, or has no licence for them",
        "Their charts stay empty; the rest of the page works.",
        (
            Cause(
                "They, or their groups, are not in the app's space.",
                f"{SPACES}: add the group that they have.",
                "parity",
            ),
            Cause(
                "The tenant has no licence left, or assigns none by itself.",
                f"{ADMINISTRATION} > Subscription: assign one, or turn automatic assignment on.",
            ),
        ),
    ),
    "bad_content": Explanation(
        "the tenant's `content` names no app, dimension or measure for this route, or one that is not there",
        "Lists of sheets and rows that the portal asks the bridge for stay empty. Embedded charts are not concerned.",
        (
            Cause(
                "The app was replaced or deleted, or a name in it changed.",
                f"In the tenants file: correct what the message names under `[tenants.content]`, then {APPLY}.",
                "audit",
            ),
        ),
    ),
}

_PAGES: Mapping[str, Explanation] = {
    "not_signed_in": Explanation(
        "nobody is known to be asking, or the assertion is not valid",
        "They see that they have to sign in at the portal again.",
        (
            Cause("Their session with the portal or the bridge is over.", "Nothing: they sign in again."),
            Cause(
                "The portal's assertions are not valid: clock, audience, issuer or key.",
                "In the portal: see what the message names. `aud` is `BRIDGE_PUBLIC_URL`, `exp` at most 5 minutes on.",
            ),
        ),
    ),
    "not_allowed": Explanation(
        "signed in, but not admitted to this tenant, or no operator",
        ON_THE_PAGE,
        (
            Cause(
                "The tenant does not admit people from where they signed in, or wants a group of them.",
                f"In the tenants file: add it to `admits`, then {APPLY}.",
                "plan",
            ),
            Cause(
                "Somebody without a role opened the console.",
                "`BRIDGE_VIEWER_GROUPS`, `BRIDGE_OPERATOR_GROUPS` or `BRIDGE_ADMIN_GROUPS`: name one of their groups.",
            ),
        ),
    ),
    "bad_csrf": Explanation(
        "the CSRF token is missing, or does not belong to this session",
        "What they clicked did not happen; after a reload it works.",
        (
            Cause("The page was open longer than the session.", "Nothing: they reload the page."),
            Cause(
                "A page of yours calls the bridge without the header.",
                "In the page: read `csrf` from `GET session`, and send it as `CSRF-Token`.",
            ),
        ),
    ),
    "bad_request": Explanation(
        "malformed parameters or body",
        "What the page asked for did not happen.",
        (Cause("A page or script sends something else than documented.", "In the page: see what the message names."),),
    ),
    "unknown_tenant": Explanation(
        "no tenant has this slug or host",
        "The page does not find its tenant.",
        (
            Cause(
                "The address in the page is wrong.",
                "In the page: correct the slug. `qlik-bridge tenants list` lists them.",
            ),
            Cause(
                "A root route was called under a host that no tenant claims.",
                f"In the tenants file: add the host to `portal_hosts`, then {APPLY}; or set `BRIDGE_DEFAULT_TENANT`.",
            ),
        ),
    ),
    "still_on_jwt": Explanation(
        "the rollout says `jwt` for this person: use the legacy embed",
        "Nothing, where the page uses embed.js: it takes the path `jwt`.",
        (
            Cause(
                "A page that knows the path `oauth` alone was given to people who have not moved.",
                "In the page: use embed.js; or add these people to the cohort.",
                "plan",
            ),
        ),
    ),
    "jwt_retired": Explanation(
        "the tenant's JWT path is closed: move the page",
        "Old pages stay empty.",
        (
            Cause(
                "A page was forgotten when the tenant was retired.",
                "Move the page: `qlik-bridge convert` shows how. Until then: `qlik-bridge stage rollback {slug}`.",
                "stragglers",
            ),
        ),
    ),
    "too_large": Explanation(
        "the body is larger than anything accepted here",
        "What the page sent was not taken.",
        (Cause("A page or script sends too much at once.", "In the page: send less at a time."),),
    ),
    "too_many": Explanation(
        "this caller asks too often",
        "Their page waits as long as `Retry-After` says.",
        (Cause("A page or script asks in a circle.", "In the page: wait as long as `Retry-After` says."),),
    ),
    "not_found": Explanation(
        "no such route",
        "Whatever the page asked for is missing.",
        (Cause("An address in the page is wrong.", "In the page: compare it with the list of routes."),),
    ),
    "method_not_allowed": Explanation(
        "the route exists, with another method",
        "Whatever the page asked for did not happen.",
        (Cause("A page or script calls with the wrong method.", "In the page: see the answer's header `Allow`."),),
    ),
}

_BRIDGE: Mapping[str, Explanation] = {
    "store_error": Explanation(
        "the bridge's own database is away, locked or read-only",
        "New people get no token; tokens that a process still remembers go on.",
        (
            Cause(
                "The database server is away, or its disk is full.",
                "On the machine of `BRIDGE_DATABASE_URL`: see `qlik-bridge check`, and make room.",
            ),
            Cause(
                "A file of SQLite is locked by a copy or a backup, or may not be written.",
                "On the machine: let the bridge's user write the file and its folder; back up by `.backup`.",
            ),
        ),
    ),
    "unreadable_tenant": Explanation(
        "what is stored of this one tenant cannot be read by this version, the message says why",
        "Nobody of this tenant sees a chart; the other tenants go on.",
        (
            Cause(
                "A version that checks more was installed, or somebody changed the database by hand.",
                "On the machine: `qlik-bridge check` says what is wrong; mend it in the tenants file, then"
                " `qlik-bridge tenants apply`.",
            ),
        ),
    ),
    "internal_error": Explanation(
        "a defect of the bridge; report it with the request id",
        ON_THE_PAGE,
        (Cause("A defect of the bridge.", "Report it with the log lines of the request id."),),
    ),
    "config_error": Explanation(
        "settings or a tenants file are wrong; every mistake is listed",
        "Nobody's charts, while what was read before stays in force.",
        (
            Cause(
                "A setting, a key file or the tenants file has mistakes.",
                "On the machine: `qlik-bridge check` lists every one of them.",
            ),
        ),
    ),
    "sign_in_refused": Explanation(
        "the company's sign-in service does not let this person in, or its answer cannot be trusted",
        "They cannot sign in.",
        (
            Cause("The service refuses them.", "In the sign-in service: assign them to the bridge's application."),
            Cause(
                "The service's tokens do not fit: audience, clock or groups.",
                "Compare `BRIDGE_OIDC_CLIENT_ID`, `BRIDGE_OIDC_SUBJECT_CLAIM` and `BRIDGE_OIDC_GROUPS_CLAIM` with its"
                " application.",
            ),
        ),
    ),
    "sign_in_unavailable": Explanation(
        "the sign-in service does not answer as it should; whoever is signed in goes on",
        "Nobody can sign in anew.",
        (
            Cause(
                "It is away, or its address is wrong.",
                "Open `BRIDGE_OIDC_ISSUER` with `/.well-known/openid-configuration` from the bridge's machine.",
            ),
        ),
    ),
    "stage_refused": Explanation(
        "the stage, percentage, cohort or ramp was not changed",
        NOTHING,
        (Cause("A condition is not met.", "Meet what the plan lists, or force it with a reason.", "plan"),),
    ),
    "conflict": Explanation(
        "somebody changed the same thing first; read it again",
        NOTHING,
        (Cause("Two operators changed the tenant at once.", "Read it again, then repeat the change.", "audit"),),
    ),
    "needs_if_match": Explanation(
        "a change of a tenant does not say which version it replaces",
        NOTHING,
        (Cause("A script writes without reading first.", "In the script: send the `ETag` as `If-Match`."),),
    ),
}

OF_PAGES = frozenset(_PAGES)
"""What a page or its reader meets while tenant and bridge are well."""

EXPLANATIONS: Mapping[str, Explanation] = {**_TENANT, **_PAGES, **_BRIDGE}


def explain(code: str) -> Explanation | None:
    """Return what is known of a code; None for one that this version does not know."""
    return EXPLANATIONS.get(code)
