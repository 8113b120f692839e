"""Peers we know by the address of their socket, and the people that a trusted proxy names."""

import json
import re
from collections.abc import Iterable, Sequence
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address, ip_network

from flask import request

from bridge.errors import NotSignedIn
from bridge.model import Identity, Subject
from bridge.settings import Settings
from bridge.web.subjects import subject_of

SOURCE = "header"
MINUTE_S = 60
PASSED_ON = "X-Forwarded-For"
TRACES = (PASSED_ON, "Forwarded", "X-Real-IP", "Via")
"""What proxies add. One is read; each tells that somebody else is behind the peer."""
NEAR = tuple(map(ip_network, ("127.0.0.0/8", "10.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16", "::1/128", "fc00::/7")))
PORT = re.compile(r"(?P<v4>[\d.]+):\d+|\[(?P<v6>[^\]]*)\](?::\d+)?")
LINE_BITS = 64

Address = IPv4Address | IPv6Address
Network = IPv4Network | IPv6Network


def peer_is_in(networks: Iterable[Network]) -> bool:
    """Tell whether the socket's peer is in one of *networks*; forwarded addresses are hearsay."""
    return _is_in(_address(request.remote_addr), networks)


def client_is_in(networks: Iterable[Network], trusted: Sequence[Network]) -> bool:
    """Tell whether the request began in one of *networks*; where nobody knows, it did not."""
    return _is_in(_client(trusted), networks)


def client_address(settings: Settings) -> str:
    """Return where the request began, for counting: one line of IPv6 is a whole network.

    A proxy that nobody named is believed for this alone, when it is near: else one stranger would close it for all.
    """
    peer = _address(request.remote_addr)
    client = _client(settings.trusted_proxies) or (_is_in(peer, NEAR) and _hops().pop()) or peer
    return str(ip_network((client, LINE_BITS), strict=False) if isinstance(client, IPv6Address) else client)


def _client(trusted: Sequence[Network]) -> Address | None:
    """Return the socket's peer, or what trusted proxies say of theirs, from the last one back.

    None when somebody else passed the request on, or a proxy does not say for whom.
    """
    client = _address(request.remote_addr)
    if not any(name in request.headers for name in TRACES):
        return client
    if not _is_in(client, trusted):
        return None
    hops = _hops()
    while hops and _is_in(client, trusted):
        client = hops.pop()
    return client


def _hops() -> list[Address | None]:
    return [_address(each) for each in request.headers.get(PASSED_ON, "").split(",")]


def _address(text: str | None) -> Address | None:
    """Return an address, with or without a port behind it."""
    text = (text or "").strip()
    if with_port := PORT.fullmatch(text):
        text = with_port["v4"] or with_port["v6"]
    try:
        found = ip_address(text)
    except ValueError:
        return None
    return (found.ipv4_mapped or found) if isinstance(found, IPv6Address) else found


def _is_in(address: Address | None, networks: Iterable[Network]) -> bool:
    return address is not None and any(address in network for network in networks)


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
