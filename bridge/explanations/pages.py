"""What a page or its reader meets while tenant and bridge are well."""

from collections.abc import Mapping

from bridge.explanations.words import APPLY, ON_THE_PAGE, Cause, Explanation

PAGES: Mapping[str, Explanation] = {
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
            Cause(
                "The page is at an address that the bridge does not know; then the message says so.",
                "In the tenants file: add its host to `portal_hosts` where pages and bridge share an address, else its"
                f" origin to `allowed_origins`, then {APPLY}; or correct `BRIDGE_PUBLIC_URL`.",
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
        "this person asks too often, or too much of what this address sent as proof was refused",
        "Their page waits as long as `Retry-After` says.",
        (
            Cause("A page or script asks in a circle.", "In the page: wait as long as `Retry-After` says."),
            Cause(
                "A portal's backend sends assertions that are refused: its clock, key or audience is wrong.",
                "In the portal: see what the `401 not_signed_in` before it say, and correct that.",
            ),
            Cause(
                "The bridge takes everybody behind a proxy for one address.",
                "On the machine: name the proxy in `BRIDGE_TRUSTED_PROXIES`.",
            ),
        ),
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
