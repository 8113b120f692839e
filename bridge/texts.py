"""Texts from outside that must have a form: origins, host names, names, times. Raises ValueError, no I/O."""

import re
from datetime import UTC, datetime
from ipaddress import ip_address
from typing import Annotated
from urllib.parse import urlsplit

from pydantic import AfterValidator

CONTROL_CHARACTERS = re.compile(r"[\x00-\x1f\x7f-\x9f\ud800-\udfff]")
"""Half a surrogate pair is among them: JSON can hold one, no database can."""
HOST_NAME = re.compile(r"[a-z0-9._-]+|[0-9a-f:.]+")
LONGEST_HOST = 253
DEFAULT_PORTS = {"https": 443, "http": 80}


def is_loopback(host: str | None) -> bool:
    """Tell whether a URL's host name can only be this machine."""
    try:
        return host == "localhost" or ip_address(host or "").is_loopback
    except ValueError:
        return False


def checked_origin(value: str) -> str:
    """Return *value* as an exact origin, `https://host[:port]`.

    Plain http is accepted for loopback hosts alone. A host without a scheme means https.
    """
    if CONTROL_CHARACTERS.search(value) or re.search(r"[\s\\]", value):
        raise ValueError("must not hold spaces, backslashes or control characters")
    try:
        parts = urlsplit(value if "://" in value else f"https://{value}")
        port = parts.port
    except ValueError:  # its text repeats the value, which may hold a password
        raise ValueError("is not an address, or has a port that is not a number") from None
    if parts.username is not None or parts.password is not None:
        raise ValueError("must not hold a user name or password")
    if parts.path.rstrip("/") or parts.query or parts.fragment or "*" in value or not parts.hostname:
        raise ValueError("must be just https://host[:port], without a path, query or wildcard")
    if not HOST_NAME.fullmatch(parts.hostname):
        raise ValueError("must hold a host name of ASCII letters, digits, dots and hyphens (others as xn--...)")
    if parts.scheme != "https" and not (parts.scheme == "http" and is_loopback(parts.hostname)):
        raise ValueError("must be https (http is for loopback hosts alone)")
    host = f"[{parts.hostname}]" if ":" in parts.hostname else parts.hostname
    return f"{parts.scheme}://{host}" + (f":{port}" if port is not None else "")


def checked_web_address(value: str) -> str:
    """Return *value* when it is an https address (http for loopback hosts alone) without user and fragment."""
    try:
        parts = urlsplit(value)
        checked_origin(f"{parts.scheme}://{parts.netloc}")
    except ValueError:  # its text may repeat the value
        raise ValueError("must be https://host[:port][/path] (http is for loopback hosts alone)") from None
    if parts.fragment or any(character <= " " or character >= "\x7f" for character in value):
        raise ValueError("must be an address without spaces and without a #fragment")
    return value


def checked_address(value: str) -> str:
    """Return *value* when it is an https address (http for loopback hosts alone) without query or fragment."""
    try:
        parts = urlsplit(value)
        checked_origin(f"{parts.scheme}://{parts.netloc}")
    except ValueError:
        raise ValueError("must be https://host[:port][/path] (http is for loopback hosts alone)") from None
    if parts.query or parts.fragment or re.search(r"[\s\\]", value) or CONTROL_CHARACTERS.search(value):
        raise ValueError("must be without query, fragment, spaces or backslashes")
    return value


def origin_of(address: str) -> str:
    """Return scheme, host and port of a page's address and nothing else of it; "" where it has none."""
    try:
        parts = urlsplit(address)
        host, port = parts.hostname or "", parts.port
    except ValueError:
        return ""
    if parts.scheme not in DEFAULT_PORTS or not HOST_NAME.fullmatch(host) or len(host) > LONGEST_HOST:
        return ""
    named = f"[{host}]" if ":" in host else host
    return f"{parts.scheme}://{named}" + (f":{port}" if port not in {None, DEFAULT_PORTS[parts.scheme]} else "")


def _host_and_port(value: str) -> str:
    if not re.fullmatch(r"[A-Za-z0-9.-]+(:\d{1,5})?", value):
        raise ValueError("must be a host name with an optional port, as browsers send it in Host")
    return value.lower()


Origin = Annotated[str, AfterValidator(checked_origin)]
PortalHost = Annotated[str, AfterValidator(_host_and_port)]
WebAddress = Annotated[str, AfterValidator(checked_web_address)]
"""What may be called, or loaded into a page."""


def checked_text(value: str, what: str) -> str:
    """Return *value*, or raise ValueError when it holds control characters (they forge logs and JWTs)."""
    if CONTROL_CHARACTERS.search(value):
        raise ValueError(f"{what} holds control characters")
    return value


def plain(value: str) -> str:
    """Return a text without control characters, or raise ValueError."""
    return checked_text(value, "a text")


def _expression(value: str) -> str:
    checked_text(re.sub(r"[\t\r\n]", " ", value), "an expression")
    return value


Plain = Annotated[str, AfterValidator(plain)]
Expression = Annotated[str, AfterValidator(_expression)]
"""A field or an expression of Qlik's, which may go over several lines."""


def lines(text: str) -> list[str]:
    """Return what was typed, one name a line; what only pads a line is no part of a name.

    Lines end as forms and files end them: a name may hold what Unicode too takes for the end of a line.
    """
    return [line for each in re.split(r"\r\n|\r|\n", text) if (line := each.strip())]


def iso(unix_s: float) -> str:
    """Return ISO 8601 in UTC, to the second."""
    return datetime.fromtimestamp(int(unix_s), UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def moment(value: str) -> float:
    """Return the unix seconds of an ISO 8601 date or time; without a zone it is UTC."""
    try:
        found = datetime.fromisoformat(value.strip())
        return (found if found.tzinfo else found.replace(tzinfo=UTC)).timestamp()
    except (ValueError, OverflowError):
        raise ValueError("must be a date or time as in 2026-11-01 or 2026-11-01T12:00:00Z") from None
