"""Peers we know by the address of their socket, and the people that a trusted proxy names."""

import json
from collections.abc import Iterable
from ipaddress import IPv4Network, IPv6Address, IPv6Network, ip_address

from flask import request

from bridge.errors import NotSignedIn
from bridge.model import Identity, Subject
from bridge.settings import Settings
from bridge.web.subjects import subject_of

SOURCE = "header"
MINUTE_S = 60


def peer_is_in(networks: Iterable[IPv4Network | IPv6Network]) -> bool:
    """Tell whether the socket's peer is in one of *networks*; forwarded addresses are hearsay."""
    try:
        peer = ip_address(request.remote_addr or "")
    except ValueError:
        return False
    if isinstance(peer, IPv6Address) and peer.ipv4_mapped:
        peer = peer.ipv4_mapped
    return any(peer in network for network in networks)


def named_by_proxy(settings: Settings, now: float) -> Identity | None:
    """Return whom a trusted proxy names. Raises NotSignedIn when what it says cannot be used."""
    if SOURCE not in settings.identity or not peer_is_in(settings.trusted_proxies):
        return None
    if settings.header_user not in request.headers:
        return None
    try:
        subject = _subject(settings)
    except ValueError as problem:
        raise NotSignedIn(f"The proxy's identity headers cannot be used: {problem}.") from None
    # Floored, so that one person is written to the store once a minute, not once a request.
    return Identity(subject, SOURCE, SOURCE, now // MINUTE_S * MINUTE_S)


def _subject(settings: Settings) -> Subject:
    return subject_of(
        sub=_header(settings.header_user),
        name=_header(settings.header_name),
        email=_header(settings.header_email),
        groups=_parsed(_header(settings.header_groups)),
    )


def _header(name: str) -> str | None:
    """Return a header as the UTF-8 that proxies send; WSGI hands it over as latin-1."""
    value = request.headers.get(name)
    try:
        return None if value is None else value.encode("latin-1").decode()
    except UnicodeError:
        raise ValueError(f"{name} is not UTF-8") from None


def _parsed(groups: str | None) -> object:
    """Read a JSON array, because group names hold commas, semicolons and spaces."""
    try:
        return None if groups is None else json.loads(groups)
    except (ValueError, RecursionError):
        raise ValueError("groups is not a JSON array of strings") from None
