"""What people meet because of a tenant, or of the way to it."""

from collections.abc import Mapping

from bridge.diagnosis import ADMINISTRATION
from bridge.explanations.words import (
    APPLY,
    LATER,
    OAUTH,
    ON_THE_PAGE,
    SPACES,
    USERS,
    Cause,
    Explanation,
)

TENANT: Mapping[str, Explanation] = {
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
            Cause(
                "Its name leads to an address that is not public; then the message says so.",
                "On the machine: name that network in `BRIDGE_PRIVATE_NETWORKS`, if the tenant is there indeed.",
            ),
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
    "bridge_busy": Explanation(
        "so many requests wait for tenants already that no thread may join them; `Retry-After` says when to come back",
        "Pages come back by themselves in a moment, one after the other.",
        (
            Cause("Many people came at the same moment.", "Nothing, when it passes; else pre-warm before they come."),
            Cause("Qlik Cloud is slow, so that each one waits longer.", "See its status page for the tenant's region."),
            Cause(
                "The server has few threads.",
                "Give it more, and say so in `BRIDGE_THREADS` (docs/decisions/034-bulkhead.md).",
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
