"""Where word of what the bridge did goes, and that word itself. Frozen, no I/O. Words: docs/glossary.md."""

from dataclasses import dataclass
from typing import Annotated, Literal
from urllib.parse import urlsplit

from pydantic import BaseModel, ConfigDict, Field, SecretStr

from bridge.texts import WebAddress

SHORTEST_SECRET = 16
ADDRESS = "notify.url"
"""How changes of a tenant name the address."""
SHORTENED = "…"


def shown_address(url: str) -> str:
    """Return what may be shown of an address: some services put a secret into its path or query."""
    if SHORTENED in url:  # no address that is called holds it
        return url
    parts = urlsplit(url)
    origin = f"{parts.scheme}://{parts.netloc}"
    return origin if url in {origin, f"{origin}/"} else f"{origin}/{SHORTENED}"


class Webhook(BaseModel):
    """Where a tenant's notices go, and the secret that signs them."""

    model_config = ConfigDict(frozen=True, extra="forbid", str_strip_whitespace=True, hide_input_in_errors=True)

    url: WebAddress
    secret: Annotated[SecretStr, Field(min_length=SHORTEST_SECRET)]

    @property
    def host(self) -> str:
        """Return what a log may say of the address: some services put a secret into its path."""
        return urlsplit(self.url).netloc


@dataclass(frozen=True, slots=True)
class Notice:
    """A message on its way to a webhook: to that of its tenant, or to the one for all (`to`).

    `problem` is why the last attempt failed, a code; empty before one did.
    """

    id: str
    tenant: str
    to: Literal["tenant", "all"]
    body: str
    created_at: float
    due_at: float
    attempts: int = 0
    problem: str = ""
