"""What the tenant's answers mean. Judged by status class and code, never by their text."""

import re
from collections.abc import Mapping
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import Any, TypeGuard

from bridge.adapters.wire import Answer
from bridge.errors import TenantError, TenantGarbled, TenantRefused, TenantThrottled, TenantUnavailable
from bridge.model import Minted, QlikUser

TOKEN_LIFE_S = 21_600
"""Qlik: access tokens live six hours by default."""
LONGEST_LIFE_S = 366 * 86_400
"""Whoever says that a token lives longer is not believed: no page could show such an end, and nobody would renew it."""

SKEW_THAT_MATTERS_S = 30
MAX_RETRY_AFTER_S = 3600.0
READS = frozenset({"users/me", "csrf-token", "spaces", "items"})
"""Calls of Tier 1, and so is every call that is named by its path; the others are of Tier 2 (Qlik: rate limiting)."""
REDIRECTS = frozenset({301, 302, 303, 307, 308})
CODE = re.compile(r"[A-Za-z][A-Za-z0-9_-]{0,39}")
TRACE = re.compile(r"[A-Za-z0-9-]{1,64}")
TOKEN = re.compile(r"[!-~]+")
SCOPE = re.compile(r"[ -~]+")
USER_ID = TOKEN
EVERYONE = "com.qlik.Everyone"

REDIRECTED = "Qlik Cloud redirected the bridge elsewhere, which it does not follow. Check the tenant's host."


def require_success(call: str, answer: Answer, now: float) -> None:
    """Raise the TenantError that says what the status means, unless it is 2xx. *now* is unix seconds."""
    match answer.status // 100:
        case 2:
            return
        case 3:
            raise TenantGarbled(REDIRECTED, detail=f"{call}: redirected ({answer.status})")
        case 4:
            raise _refusal(call, answer, now)
        case 5:
            wait_s = _retry_after(answer, now) if "Retry-After" in answer.headers else None
            raise TenantUnavailable(detail=f"{call}: {answer.status}", retry_after_s=wait_s)
    raise TenantGarbled(detail=f"{call}: status {answer.status}")


def document(call: str, answer: Answer) -> Mapping[str, Any]:
    """Return the JSON object of an answer. Raises TenantGarbled for anything else."""
    try:
        parsed = answer.json()
    except ValueError:
        parsed = None
    if not isinstance(parsed, dict):
        raise TenantGarbled(detail=f"{call}: {answer.status} without a JSON object, {len(answer.body)} bytes")
    return parsed


def minted(call: str, answer: Answer, *, asked_scope: str, now: float) -> Minted:
    """Return the token of an answer (Qlik: POST /oauth/token). Raises TenantGarbled."""
    found = document(call, answer)
    value, kind, scope = found.get("access_token"), found.get("token_type"), found.get("scope") or asked_scope
    if not isinstance(value, str) or not TOKEN.fullmatch(value):
        raise TenantGarbled(detail=f"{call}: no usable access_token")
    if not isinstance(kind, str) or kind.lower() != "bearer":
        raise TenantGarbled(detail=f"{call}: token_type is not bearer")
    if not isinstance(scope, str) or not SCOPE.fullmatch(scope):
        raise TenantGarbled(detail=f"{call}: scope is not a text of scopes")
    expires_at = _expires_at(call, found, now)
    if expires_at <= now:
        raise TenantGarbled(detail=f"{call}: the token has expired already; compare the clocks")
    if expires_at > now + LONGEST_LIFE_S:
        raise TenantGarbled(detail=f"{call}: the token is said to live longer than a year")
    return Minted(value, scope, expires_at)


def _expires_at(call: str, found: Mapping[str, Any], now: float) -> float:
    life_s, end = found.get("expires_in"), found.get("expires_at")
    if _is_life(life_s):
        return now + life_s
    if life_s is None and end is None:
        return now + TOKEN_LIFE_S
    try:
        moment = datetime.fromisoformat(end)  # type: ignore[arg-type]
    except (TypeError, ValueError):
        raise TenantGarbled(detail=f"{call}: neither expires_in nor expires_at can be read") from None
    return (moment if moment.tzinfo else moment.replace(tzinfo=UTC)).timestamp()


def _is_life(value: object) -> TypeGuard[int | float]:
    """Tell whether this may be a number of seconds; one of 400 digits, which is JSON, cannot even be added."""
    return isinstance(value, int | float) and not isinstance(value, bool) and abs(value) <= LONGEST_LIFE_S


def user(call: str, answer: Answer) -> QlikUser:
    """Return the user of an answer (Qlik: GET /api/v1/users/me). Raises TenantGarbled."""
    found = document(call, answer)
    user_id, subject, groups = found.get("id"), found.get("subject"), found.get("assignedGroups") or []
    if not (isinstance(user_id, str) and isinstance(subject, str) and subject and isinstance(groups, list)):
        raise TenantGarbled(detail=f"{call}: not a user")
    if not USER_ID.fullmatch(user_id):
        raise TenantGarbled(detail=f"{call}: no usable id")
    return QlikUser(user_id, subject, frozenset(_idp_groups(call, groups)))


def _idp_groups(call: str, groups: list[Any]) -> list[str]:
    names = []
    for group in groups:
        if not isinstance(group, dict) or not isinstance(group.get("name"), str):
            raise TenantGarbled(detail=f"{call}: a group without a name")
        if group.get("providerType") == "idp" and group["name"] != EVERYONE:
            names.append(group["name"])
    return names


def _refusal(call: str, answer: Answer, now: float) -> TenantError:
    code, trace = _named(answer)
    detail = f"{call}: {answer.status} {code}".rstrip() + (f", trace {trace}" if trace else "")
    if answer.status == 429:  # noqa: PLR2004 - HTTP's own word for it
        tier = 1 if call in READS or call.startswith("/") else 2
        return TenantThrottled(detail=detail, retry_after_s=_retry_after(answer, now), tier=tier)
    skew_s = clock_ahead_s(answer, now) or 0.0
    return TenantRefused(detail=detail, status=answer.status, upstream_code=code, trace_id=trace, skew_s=skew_s)


def blame_the_clock(refusal: TenantRefused) -> TenantRefused:
    """Name the clocks as the likely cause where something of ours that bears a time was refused."""
    if abs(refusal.skew_s) < SKEW_THAT_MATTERS_S:
        return refusal
    way = "ahead of" if refusal.skew_s > 0 else "behind"
    cause = f"The tenant's clock is {abs(refusal.skew_s):.0f} s {way} the bridge's"
    sentence = f"{TenantRefused.public} {cause}, which is the likely cause: set this machine's clock."
    return refusal.saying(sentence, detail=f"{refusal.detail}; {cause}")


def _named(answer: Answer) -> tuple[str, str]:
    """Return Qlik's error code and trace id, each empty where there is none of the usual form."""
    try:
        found = answer.json()
    except ValueError:
        found = None
    if not isinstance(found, dict):
        return "", ""
    errors = found.get("errors")
    first = errors[0] if isinstance(errors, list) and errors and isinstance(errors[0], dict) else found
    return _matching(CODE, first.get("code")), _matching(TRACE, found.get("traceId"))


def _matching(pattern: re.Pattern[str], value: object) -> str:
    return value if isinstance(value, str) and pattern.fullmatch(value) else ""


def _retry_after(answer: Answer, now: float) -> float:
    """Return seconds to wait, from a number or an HTTP date; one where it says nothing of use."""
    text = answer.headers.get("Retry-After", "").strip()
    moment = _moment(text)
    if re.fullmatch(r"\d{1,9}(\.\d{1,9})?", text):
        wait_s = float(text)
    elif moment is not None:
        wait_s = moment - (_moment(answer.headers.get("Date", "")) or now)
    else:
        wait_s = 1.0
    return min(max(wait_s, 0.0), MAX_RETRY_AFTER_S)


def clock_ahead_s(answer: Answer, now: float) -> float | None:
    """Return how far the tenant's clock is ahead of ours, in seconds; None where it does not say."""
    moment = _moment(answer.headers.get("Date", ""))
    return None if moment is None else moment - now


def _moment(text: str) -> float | None:
    try:
        return parsedate_to_datetime(text).timestamp()
    except (ValueError, OverflowError):
        return None
