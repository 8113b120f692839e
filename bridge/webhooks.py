"""Where word of what the bridge did goes, and that word itself. Frozen, no I/O. Words: docs/glossary.md."""

from dataclasses import dataclass
from typing import Annotated, Literal
from urllib.parse import urlsplit

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, SecretStr

from bridge.texts import checked_origin

SHORTEST_SECRET = 16
ADDRESS = "notify.url"
"""How changes of a tenant name the address."""
SHORTENED = "…"


def _webhook(value: str) -> str:
    """Return an address that may be called: https, or http on loopback; no user, no fragment, nothing odd."""
    parts = urlsplit(value)
    checked_origin(f"{parts.scheme}://{parts.netloc}")
    if parts.fragment or any(character <= " " or character >= "\x7f" for character in value):
        raise ValueError("must be an address without spaces and without a #fragment")
    return value


def shown_address(url: str) -> str:
    """Return what may be shown of an address: some services put a secret into its path or query."""
    if SHORTENED in url:  # no address that is called holds it
        return url
    parts = urlsplit(url)
    origin = f"{parts.scheme}://{parts.netloc}"
    return origin if url in {origin, f"{origin}/"} else f"{origin}/{SHORTENED}"


WebhookUrl = Annotated[str, AfterValidator(_webhook)]


class Webhook(BaseModel):
    """Where a tenant's notices go, and the secret that signs them."""

    model_config = ConfigDict(frozen=True, extra="forbid", str_strip_whitespace=True, hide_input_in_errors=True)

    url: WebhookUrl
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
