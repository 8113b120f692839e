"""What is wrong at the bridge itself, and what those meet who run it."""

from collections.abc import Mapping

from bridge.explanations.words import NOTHING, ON_THE_PAGE, Cause, Explanation

BRIDGE: Mapping[str, Explanation] = {
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
        "the sign-in service does not answer, or nobody can read the portal's keys; whoever is signed in goes on",
        "Nobody can sign in anew.",
        (
            Cause(
                "It is away, or its address is wrong.",
                "Open `BRIDGE_OIDC_ISSUER` with `/.well-known/openid-configuration` from the bridge's machine.",
            ),
            Cause("The portal's key set is away.", "Open `BRIDGE_ASSERTION_JWKS` from the bridge's machine."),
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
