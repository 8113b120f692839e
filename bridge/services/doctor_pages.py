"""The doctor on what pages and groups need of the tenant: group settings, web integration, CSP origins."""

from urllib.parse import SplitResult, urlsplit

from bridge.diagnosis import ADMINISTRATION
from bridge.model import Stage
from bridge.services.doctor_case import Case, Check, Verdict, amber, green, listed, not_checked, red

PORTS = {"https": 443, "http": 80}


def group_settings(case: Case) -> Verdict:
    found = case.tools.set_up.groups(case.tenant)
    if not found.auto_create:
        cause = "Creation of groups is off: logins succeed, new groups stay missing, and nothing says so."
        return red(cause, f"{ADMINISTRATION} > Settings > Groups: turn creation of groups on (autoCreateGroups).")
    if found.sync_idp is False:
        cause = (
            "syncIdpGroups is off. Qlik calls it deprecated; older tenants keep memberships as they were without it."
        )
        return amber(cause, "Set /syncIdpGroups to true by PATCH /api/v1/groups/settings.")
    return green("Logins create groups.")


def web_integration(case: Case) -> Verdict:
    if case.state.rollout.stage is Stage.RETIRED:
        return not_checked("The tenant is retired: no page logs in with cookies any more.")
    named = case.tenant.web_integration_id
    fix = f"{ADMINISTRATION} > Web: make one with origins {listed(case.page_origins)}, set `web_integration_id`, apply."
    if named is None:
        return red("None is set: legacy pages cannot log in, and there is no way back to them.", fix)
    case.need_reading()
    if case.integration is None:
        return red(f"The tenant knows no web integration {named}.", fix)
    return green(f"The tenant knows {named}.")


def web_integration_origins(case: Case) -> Verdict:
    missing = [each for each in case.page_origins if each not in (case.integration or ())]
    if missing:
        cause = f"It does not list {listed(missing)}: legacy pages there cannot log in."
        return red(cause, f"{ADMINISTRATION} > Web: add {listed(missing)} to its origins.")
    return green(f"It lists {listed(case.page_origins)}.")


def csp(case: Case) -> Verdict:
    framing = [each.origin for each in case.tools.set_up.csp(case.tenant) if each.may_frame]
    missing = [origin for origin in case.page_origins if not any(_covers(entry, origin) for entry in framing)]
    if missing:
        cause = f"No entry lets {listed(missing)} frame the tenant: frames and classic embeds stay empty there."
        return amber(cause, f"{ADMINISTRATION} > Content Security Policy: add {listed(missing)} with frame-ancestors.")
    return green(f"Pages of {listed(case.page_origins)} may frame the tenant.")


def _covers(entry: str, origin: str) -> bool:
    """Tell whether a CSP source means an origin: scheme and port are optional in it, and `*.` stands for subdomains."""
    wanted = urlsplit(origin)
    scheme, _, rest = entry.rpartition("://")
    host, _, port = rest.partition(":")
    hosts_match = (
        (wanted.hostname or "").endswith(host[1:].lower()) if host.startswith("*.") else wanted.hostname == host.lower()
    )
    return scheme in {"", "http", wanted.scheme} and hosts_match and _port_fits(port, wanted)


def _port_fits(port: str, wanted: SplitResult) -> bool:
    default = PORTS.get(wanted.scheme)
    return port == "*" or (int(port) if port.isdecimal() else default) == (wanted.port or default)


MANAGED = ("management_rights",)
CHECKS = (
    Check("groups", "Group settings", group_settings, needs=MANAGED),
    Check("web_integration", "Web integration", web_integration),
    Check("web_integration_origins", "Web integration: origins", web_integration_origins, needs=("web_integration",)),
    Check("csp", "CSP origins", csp, needs=MANAGED),
)
