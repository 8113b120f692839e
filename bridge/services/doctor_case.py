"""One examination: the tenant, what was read of it so far, and the forms in which a check answers."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cached_property
from urllib.parse import urlsplit

from bridge.diagnosis import ClientFacts, Greeting, JwtProvider, Light
from bridge.errors import ConfigError
from bridge.model import QlikUser, Subject, Tenant, TenantState
from bridge.ports import Clock, Qlik, SigningKeys, SubjectStore, TenantSetUp
from bridge.services.budget import Budget
from bridge.services.signer import Signer
from bridge.texts import is_loopback

NAMES_SHOWN = 5


@dataclass(frozen=True, slots=True)
class Verdict:
    """What one check says."""

    light: Light
    cause: str
    fix: str = ""


class HeldBackError(Exception):
    """A check that cannot say anything before the one of this name is mended."""

    def __init__(self, check: str) -> None:
        super().__init__(check)
        self.check = check


@dataclass(frozen=True, slots=True)
class Tools:
    """What an examination works with."""

    set_up: TenantSetUp
    qlik: Qlik
    signer: Signer
    keys: SigningKeys
    subjects: SubjectStore
    clock: Clock
    public_url: str
    budget: Budget


class Case:
    """One tenant in front of the doctor. What was read once is kept until the examination is over."""

    def __init__(self, state: TenantState, tools: Tools, probe_subject: str | None) -> None:
        self.state = state
        self.tools = tools
        self.probe_subject = probe_subject
        self.probed: Subject | None = None
        self.probed_user: QlikUser | None = None
        self.throttled_s: float | None = None
        self.can_read = False

    @property
    def tenant(self) -> Tenant:
        return self.state.tenant

    @cached_property
    def greeting(self) -> Greeting:
        return self.tools.set_up.greet(self.tenant)

    @cached_property
    def providers(self) -> Sequence[JwtProvider]:
        return self.tools.set_up.providers(self.tenant)

    @cached_property
    def issuing(self) -> ClientFacts | None:
        client = self.tenant.issuing_client
        return self.tools.set_up.client(self.tenant, client.id) if client else None

    @cached_property
    def management(self) -> ClientFacts | None:
        client = self.tenant.management_client
        return self.tools.set_up.client(self.tenant, client.id) if client else None

    @cached_property
    def integration(self) -> frozenset[str] | None:
        named = self.tenant.web_integration_id
        return self.tools.set_up.web_integration(self.tenant, named) if named else None

    @cached_property
    def unusable_keys(self) -> dict[str, str]:
        """Return why each key file of the tenant that cannot be used cannot."""
        return {name: why for name in self.tenant.key_files() if (why := self._why_unusable(name))}

    def _why_unusable(self, name: str) -> str:
        try:
            self.tools.keys.load(name)
        except ConfigError as error:
            return error.message
        return ""

    def need_key(self, name: str | None) -> None:
        """Hold a check back that needs this key file."""
        if name in self.unusable_keys:
            raise HeldBackError("keys")

    def need_reading(self) -> None:
        """Hold a check back that needs to read the tenant's set-up, which `management_rights` tries first."""
        if not self.can_read:
            raise HeldBackError("management_rights")

    def provider(self, issuer: str, key_id: str) -> JwtProvider | None:
        found = (each for each in self.providers if (each.issuer, each.key_id) == (issuer, key_id))
        return next(found, None)

    @property
    def page_origins(self) -> tuple[str, ...]:
        """Return where the tenant's embeds are shown: the pages allowed to call us, else our own."""
        hosts = (_origin_of(host) for host in self.tenant.portal_hosts)
        return tuple(dict.fromkeys((*self.tenant.allowed_origins, *hosts))) or (self.tools.public_url,)


def _origin_of(host: str) -> str:
    scheme = "http" if is_loopback(urlsplit(f"//{host}").hostname) else "https"
    return f"{scheme}://{host}"


Look = Callable[[Case], Verdict]


@dataclass(frozen=True, slots=True)
class Check:
    """One line of a diagnosis and how to come to it.

    It is made when all of `needs` could be made and are not red, and none of `spoiled_by` is red.
    """

    name: str
    about: str
    look: Look
    needs: tuple[str, ...] = ()
    spoiled_by: tuple[str, ...] = ()


def green(cause: str) -> Verdict:
    return Verdict(Light.GREEN, cause)


def amber(cause: str, fix: str) -> Verdict:
    return Verdict(Light.AMBER, cause, fix)


def red(cause: str, fix: str) -> Verdict:
    return Verdict(Light.RED, cause, fix)


def not_checked(cause: str, fix: str = "") -> Verdict:
    return Verdict(Light.NOT_CHECKED, cause, fix)


def listed(names: frozenset[str] | Sequence[str]) -> str:
    """Return some names for a sentence, and how many more there are."""
    ordered = sorted(names)
    more = len(ordered) - NAMES_SHOWN
    return ", ".join(ordered[:NAMES_SHOWN]) + (f" and {more} more" if more > 0 else "") or "none"
