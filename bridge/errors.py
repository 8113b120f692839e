"""What can go wrong, in the words of the people who must act on it. No HTTP here: see web/problems.py."""

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar, Self

EXIT_REFUSED = 1
EXIT_MISCONFIGURED = 2
EXIT_UPSTREAM = 3


class BridgeError(Exception):
    """The root of everything that the product raises on purpose.

    `public` is a sentence for the caller that says what to do; `detail` is for the log alone and never
    holds a token, JWT, cookie, key or secret.
    """

    public: ClassVar[str] = "Something went wrong. Try again, and report the request id if it stays."
    exit_code: ClassVar[int] = EXIT_REFUSED

    def __init__(self, message: str | None = None, *, detail: str = "", retry_after_s: float | None = None) -> None:
        super().__init__(message or self.public)
        self.message = message or self.public
        self.detail = detail
        self.retry_after_s = retry_after_s

    @classmethod
    def code(cls) -> str:
        """Return the stable code: the class name in snake case."""
        return re.sub(r"(?<!^)(?=[A-Z])", "_", cls.__name__).lower()


class ConfigError(BridgeError):
    """Settings or a tenants file are wrong; holds every mistake, not the first one alone."""

    public = "The configuration has mistakes. Fix each one listed and run the command again."
    exit_code = EXIT_MISCONFIGURED

    def __init__(self, mistakes: Sequence[str]) -> None:
        super().__init__("\n".join(mistakes))
        self.mistakes = tuple(mistakes)


class NotSignedIn(BridgeError):
    """Nobody is known to be asking."""

    public = "You are not signed in. Sign in at the portal and try again."


class SignInRefused(BridgeError):
    """What came back from the company's sign-in service does not let anybody in."""

    public = "The sign-in did not work. Start it again, and tell an operator if it stays."


class SignInUnavailable(BridgeError):
    """The company's sign-in service is away, or says something that nobody understands."""

    public = "The sign-in service does not answer as it should. Nothing is lost: try again shortly."
    exit_code = EXIT_UPSTREAM


Mistake = tuple[str, str]
"""Where (`tenant.host`; "" for the whole), and what is wrong there; never what was sent."""


class BadRequest(BridgeError):
    """The request itself is malformed; `mistakes` lists what is wrong where it is known."""

    public = "The request is not valid. Check its parameters."
    mistakes: Sequence[Mistake] = ()

    @classmethod
    def listing(cls, mistakes: Iterable[Mistake]) -> Self:
        """Return an error that tells every mistake at once."""
        found = [(where, what.removeprefix("Value error, ")) for where, what in mistakes]
        listed = "; ".join(f"{where}: {what}" if where else what for where, what in found)
        error = cls(f"The request is not valid: {listed}.")
        error.mistakes = found
        return error


class BadCsrf(BridgeError):
    """A state-changing request came without the right CSRF token."""

    public = (
        "The CSRF token is missing or does not belong to this session. Reload the page and send the"
        " `csrf` of the session as header CSRF-Token."
    )


class NotAllowed(BridgeError):
    """Known, but not admitted here."""

    public = "You are signed in, but you may not use this. Ask an operator to admit you."


class UnknownTenant(BridgeError):
    """No tenant has this slug, or no tenant claims this host."""

    public = "There is no such tenant. Check the address, or list the tenants with `qlik-bridge tenants list`."


class TooLarge(BridgeError):
    """The request body is larger than anything this service accepts."""

    public = "The request is too large. Send a smaller one."


class Conflict(BridgeError):
    """Somebody else changed the same thing first."""

    public = "This was changed by somebody else meanwhile. Read it again, then repeat your change."


class NeedsIfMatch(BridgeError):
    """A change does not say which version of the thing it was made for."""

    public = "Say which version this replaces: read it first, and send its ETag as `If-Match`."


class TooMany(BridgeError):
    """The caller asks too often."""

    public = "Too many requests. Wait as long as Retry-After says, then try again."


class StillOnJwt(BridgeError):
    """The rollout says `jwt` for this subject, so no impersonation token is issued."""

    public = "This person is still on the JWT path for this tenant. Use the token route of the legacy embed."


class JwtRetired(BridgeError):
    """The tenant's browser JWT path is closed."""

    public = "The JWT path of this tenant is closed. Move the page to the OAuth embed."


@dataclass(frozen=True, slots=True)
class UnmetCondition:
    """One reason why a stage move is refused: `message` says what is missing and how to meet it.

    `forceable` ones can be passed by with a reason; of the others the result could not work.
    """

    condition: str
    message: str
    forceable: bool = True

    def document(self) -> dict[str, Any]:
        return {"condition": self.condition, "message": self.message, "forceable": self.forceable}


class StageRefused(BridgeError):
    """A stage move would be unsafe; `unmet` names each condition that does not hold."""

    public = "The stage was not moved. Meet each condition listed, then try again."

    def __init__(self, unmet: Sequence[UnmetCondition]) -> None:
        super().__init__(" ".join([self.public, *(each.message for each in unmet)]))
        self.unmet = tuple(unmet)

    def unmet_document(self) -> list[dict[str, Any]]:
        """Return the conditions as machines read them."""
        return [each.document() for each in self.unmet]


class SubjectNotProvisioned(BridgeError):
    """The tenant does not let this subject in, or will not impersonate them."""

    public = (
        "Qlik Cloud does not accept this person. Ask an operator to check that the user is active in the"
        " tenant, and that the issuing client may impersonate."
    )


class AppRefused(BridgeError):
    """The tenant does not let this subject open an app."""

    public = "Qlik Cloud does not let this person open the app. Ask whoever manages the app's space for access."


class BadContent(BridgeError):
    """The tenant's `content` does not name what a page asks for, or names something that is not there."""

    public = "The tenant's `content` does not fit its apps. An operator must correct it."


class SyncRefused(BridgeError):
    """The tenant's groups would show the subject more than they may see, or the JWT cannot carry them."""

    public = "The tenant's groups for this person do not match the portal's, so no token is issued. Ask an operator."


class TenantError(BridgeError):
    """Any failure of a Qlik Cloud tenant; never raised itself.

    `is_lost` where the call was made and its answer never came whole: the tenant may have done what we asked.
    """

    exit_code = EXIT_UPSTREAM
    is_lost: bool = False


class TenantRefused(TenantError):
    """The tenant answered 4xx to a call of ours: an operator must act.

    `status` is the HTTP status, `upstream_code` Qlik's `errors[0].code`, `trace_id` Qlik's, `skew_s` how far
    the tenant's clock is ahead of ours (seconds).
    """

    public = "Qlik Cloud refused the bridge. An operator must act; the log names the cause."

    def __init__(
        self,
        message: str | None = None,
        *,
        detail: str = "",
        status: int = 0,
        upstream_code: str = "",
        trace_id: str = "",
        skew_s: float = 0.0,
    ) -> None:
        super().__init__(message, detail=detail)
        self.status = status
        self.upstream_code = upstream_code
        self.trace_id = trace_id
        self.skew_s = skew_s

    @property
    def is_of_the_client(self) -> bool:
        """Tell whether our OAuth client may not ask at all (Qlik: OAUTH-14): no sync can mend that."""
        return self.upstream_code == "OAUTH-14"

    def saying(self, message: str, *, detail: str = "") -> "TenantRefused":
        """Return the same refusal in other words: the likely cause, and what to do."""
        return TenantRefused(
            message,
            detail=detail or self.detail,
            status=self.status,
            upstream_code=self.upstream_code,
            trace_id=self.trace_id,
            skew_s=self.skew_s,
        )


class TenantThrottled(TenantError):
    """The tenant answered 429: its whole `tier` (1: reads, 2: logins and tokens) is closed for `retry_after_s`."""

    public = "Qlik Cloud asks the bridge to slow down. Wait as long as Retry-After says, then try again."

    def __init__(
        self,
        message: str | None = None,
        *,
        detail: str = "",
        retry_after_s: float | None = None,
        tier: int | None = None,
    ) -> None:
        super().__init__(message, detail=detail, retry_after_s=retry_after_s)
        self.tier = tier


class BudgetSpent(TenantThrottled):
    """Our own allowance of calls to this tenant is used up for now: we slow down before the tenant asks us to.

    `lane` says whose claim was sent away; a stronger one may still find room.
    """

    public = "The bridge has used up its calls to this tenant for now. Wait as long as Retry-After says."

    def __init__(
        self,
        message: str | None = None,
        *,
        detail: str = "",
        retry_after_s: float | None = None,
        tier: int | None = None,
        lane: str = "",
    ) -> None:
        super().__init__(message, detail=detail, retry_after_s=retry_after_s, tier=tier)
        self.lane = lane


class TenantUnavailable(TenantError):
    """The tenant cannot be reached, answers 5xx, or has failed so often that we pause."""

    public = "Qlik Cloud cannot be reached right now. Try again shortly."


class TenantTimeout(TenantError):
    """The tenant did not answer in time."""

    public = "Qlik Cloud did not answer in time. Try again shortly."


class StillWaiting(TenantError):
    """Somebody else's attempt for the same person has no outcome yet, and nobody waits for ever."""

    public = "Another request logs this person in already, and takes too long. Try again shortly."


class BridgeBusy(TenantError):
    """So many requests wait for tenants already that no thread may join them: others must be served, too."""

    public = "Too many people wait for Qlik Cloud at the same time. Wait as long as Retry-After says, then try again."


class TenantGarbled(TenantError):
    """The tenant's answer is not what its contract says (HTML, half a JSON, a redirect elsewhere)."""

    public = "Qlik Cloud answered something that the bridge does not understand. An operator must check the host."


class StoreError(BridgeError):
    """The bridge's own database is away, locked, or read-only."""

    public = "The bridge cannot reach its database. Try again shortly."
    exit_code = EXIT_UPSTREAM


class UnreadableTenant(StoreError):
    """What is stored of one tenant makes no sense to this version; `problem` says what, never with a value."""

    public = "What is stored of this tenant cannot be read. An operator must apply it again."
    exit_code = EXIT_MISCONFIGURED
    problem = ""

    @classmethod
    def named(cls, slug: str, problem: str) -> Self:
        """Return the error for one tenant."""
        error = cls(
            f"What is stored of tenant {slug} cannot be read: {problem}."
            " An operator must apply it again, with `qlik-bridge tenants apply`."
        )
        error.problem = problem
        return error
