"""The Content-Security-Policy of a page: strict, wider where Qlik content is embedded."""

from collections.abc import Iterator

from bridge.model import Tenant
from bridge.texts import origin_of
from bridge.web import current

SELF = "'self'"
ALWAYS = ("default-src 'self'", "object-src 'none'", "base-uri 'none'", "form-action 'self'", "frame-ancestors 'none'")
STRICT = "; ".join(ALWAYS)


def allow_embeds(tenant: Tenant) -> None:
    """Let the page that is being answered embed content of *tenant*, and of no other."""
    current.about().embeds = tenant


def header(tenant: Tenant | None) -> str:
    """Return the policy of an answer that may embed content of *tenant*, or of none."""
    return "; ".join([*ALWAYS, *_for_embeds(tenant)]) if tenant else STRICT


def _for_embeds(tenant: Tenant) -> Iterator[str]:
    """Name what qlik-embed needs: its script and the tenant's, both protocols of the tenant, and its frames.

    Charts write styles while they draw, and show images that they hold in memory.
    """
    host = tenant.host
    sources = {
        "script-src": [SELF, origin_of(tenant.embed_script), host],
        "connect-src": [SELF, host, host.replace("http", "ws", 1)],
        "style-src": [SELF, "'unsafe-inline'", host],
        "img-src": [SELF, "data:", "blob:", host],
        "font-src": [SELF, "data:", host],
        "frame-src": [host],
    }
    for name, allowed in sources.items():
        yield " ".join([name, *dict.fromkeys(allowed)])
