"""What the doctor finds: lights with their cause and fix, and the facts of a tenant's set-up. Frozen, no I/O."""

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from cryptography.hazmat.primitives.asymmetric.types import PublicKeyTypes
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

ADMINISTRATION = "In Qlik Cloud, Administration"
"""Where most of what a fix changes is found."""


class Light(StrEnum):
    """How one line of a diagnosis stands."""

    GREEN = "green"
    AMBER = "amber"
    RED = "red"
    NOT_CHECKED = "not checked"


@dataclass(frozen=True, slots=True)
class Finding:
    """One line: what was looked at, how it stands, why, and what to do where. Holds no secret and no token.

    `check` is a name that stays; `because` names the check that must be mended first, where that kept this one back.
    """

    check: str
    about: str
    light: Light
    cause: str
    fix: str = ""
    because: str = ""

    def document(self) -> dict[str, str]:
        return {
            "check": self.check,
            "about": self.about,
            "light": self.light.value,
            "cause": self.cause,
            "fix": self.fix,
            "because": self.because,
        }


@dataclass(frozen=True, slots=True)
class Diagnosis:
    """All findings about one tenant at one time (unix seconds), causes before symptoms.

    `is_away`: the tenant did not answer, or asked us to wait, so that something could not be looked at. `unread` are
    the findings about what it refused to tell, or told in a way from which nothing could be read.
    """

    tenant: str
    at: float
    findings: tuple[Finding, ...]
    is_away: bool = False
    unread: tuple[Finding, ...] = ()

    def of(self, light: Light) -> tuple[Finding, ...]:
        return tuple(finding for finding in self.findings if finding.light is light)

    @property
    def light(self) -> Light:
        """Return the worst light of all; what was not checked does not count."""
        lights = {finding.light for finding in self.findings}
        return next((each for each in (Light.RED, Light.AMBER, Light.GREEN) if each in lights), Light.NOT_CHECKED)

    def document(self) -> dict[str, Any]:
        """Return the form that machines read."""
        return {
            "tenant": self.tenant,
            "at": self.at,
            "light": self.light.value,
            "away": self.is_away,
            "findings": [finding.document() for finding in self.findings],
        }


# --- what an administrator reads about a tenant -------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Greeting:
    """What a tenant says to anybody: how far its clock is ahead of ours, in seconds (None: it does not say)."""

    skew_s: float | None


@dataclass(frozen=True, slots=True)
class JwtProvider:
    """A JWT identity provider and its public key; `certificate_ends` (unix seconds) is None for a bare key."""

    issuer: str
    key_id: str
    is_active: bool
    fingerprint: str
    tolerance_s: float
    certificate_ends: float | None


@dataclass(frozen=True, slots=True)
class ClientSecret:
    """A secret of a client, known by a few of its characters; `created_at` in unix seconds, where it is known."""

    hint: str
    created_at: float | None


@dataclass(frozen=True, slots=True)
class ClientFacts:
    """An OAuth client as the tenant has it; `keys` are fingerprints by key id."""

    id: str
    name: str
    grants: frozenset[str]
    scopes: frozenset[str]
    origins: frozenset[str]
    auth_methods: frozenset[str]
    consent: str
    is_published: bool
    is_disabled: bool
    secrets: tuple[ClientSecret, ...]
    keys: Mapping[str, str]


@dataclass(frozen=True, slots=True)
class GroupSettings:
    """What logins do to groups; `sync_idp` is deprecated at Qlik (None: not there any more)."""

    auto_create: bool
    sync_idp: bool | None


@dataclass(frozen=True, slots=True)
class CspEntry:
    """A site among the tenant's CSP origins, and whether it may frame the tenant's pages."""

    origin: str
    may_frame: bool


def key_fingerprint(key: PublicKeyTypes) -> str:
    """Return a digest of a public key, the same whether it came bare or in a certificate."""
    return hashlib.sha256(key.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)).hexdigest()
