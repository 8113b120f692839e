"""Which addresses the bridge may call. They are looked at when it connects: a name can lead anywhere, at any time."""

import socket
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address, ip_network

from urllib3 import HTTPConnectionPool, HTTPSConnectionPool
from urllib3.connection import HTTPConnection, HTTPSConnection

from bridge.adapters.timely import TimelyResponse
from bridge.errors import TenantUnavailable

Address = IPv4Address | IPv6Address
Network = IPv4Network | IPv6Network

OURSELVES = IPv6Network("::1/128")
LOOPBACK: tuple[Network, ...] = (IPv4Network("127.0.0.0/8"), OURSELVES)
NEVER = tuple(
    map(
        ip_network,
        (
            "0.0.0.0/8",  # this machine, by a way around the name loopback
            "::/128",
            "169.254.0.0/16",  # link-local; clouds answer there with the machine's own credentials
            "fe80::/10",
            "fd00:ec2::/32",  # the same over IPv6 (AWS)
            "fd20:ce::254/128",  # and at Google
            "100.100.100.200/32",  # and at Alibaba
            "192.0.0.192/32",  # and at Oracle
            "fd00:c1::a9fe:a9fe/128",
            "168.63.129.16/32",  # and at Azure, where it is a public address
        ),
    )
)
GLOBAL_UNICAST = IPv6Network("2000::/3")
"""All that is routed; Python calls the unassigned rest global too."""
DOCUMENTATION = IPv6Network("3fff::/20")
PACKED = tuple(map(IPv6Network, ("::/96", "::ffff:0:0/96", "::ffff:0:0:0/96", "64:ff9b::/96")))
"""Whose last 32 bits are an IPv4 address: compatible, mapped, translated, NAT64."""
REFUSED = (
    "The bridge does not call this address, because it is not public. An operator must correct it,"
    " or name its network in BRIDGE_PRIVATE_NETWORKS."
)


@dataclass(frozen=True, slots=True)
class Reach:
    """The public addresses, and those in *networks*; never one where a machine gives itself away."""

    networks: tuple[Network, ...] = ()

    def allows(self, address: Address) -> bool:
        """Tell whether the bridge may call *address*, whatever other address it is packed in."""
        return all(self._allows(each) for each in _unpacked(address))

    def _allows(self, address: Address) -> bool:
        if address.is_multicast or any(address in network for network in NEVER):
            return False
        return _is_public(address) or any(address in network for network in self.networks)

    def allows_name(self, host: str) -> bool:
        """Tell whether a host may be declared: names are judged by where they lead, later."""
        try:
            return self.allows(ip_address("127.0.0.1" if host == "localhost" else host))
        except ValueError:
            return True

    def allows_now(self, host: str) -> bool:
        """Tell whether a host leads nowhere else at this moment; one that leads nowhere at all does not."""
        try:
            found = socket.getaddrinfo(host, None, type=socket.SOCK_STREAM)
        except OSError:
            return True
        return all(self.allows(ip_address(str(each[0]).partition("%")[0])) for *_, each in found)

    def connect(self, place: tuple[str, int], open_: Callable[[], socket.socket]) -> socket.socket:
        """Return the socket that *open_* connects to *place*. Raises TenantUnavailable, OSError.

        Looked at before, so that closed ports cannot be told from open ones; and after, as a name may lead
        elsewhere by then. Nothing was sent yet.
        """
        for *_, found in socket.getaddrinfo(*place, type=socket.SOCK_STREAM):
            self._check(str(found[0]))
        connected = open_()
        try:
            self._check(connected.getpeername()[0])
        except TenantUnavailable:
            connected.close()
            raise
        return connected

    def _check(self, address: str) -> None:
        if not self.allows(ip_address(address.partition("%")[0])):
            raise TenantUnavailable(REFUSED, detail=f"{address} is not public; see BRIDGE_PRIVATE_NETWORKS")

    def pools(self) -> dict[str, type[HTTPConnectionPool]]:
        """Return connection pools for urllib3 that keep to this."""
        reach = self

        class Plain(HTTPConnection):
            response_class = TimelyResponse

            def _new_conn(self) -> socket.socket:
                return reach.connect((self.host, self.port), super()._new_conn)

        class Secure(HTTPSConnection):
            response_class = TimelyResponse

            def _new_conn(self) -> socket.socket:
                return reach.connect((self.host, self.port), super()._new_conn)

        class PlainPool(HTTPConnectionPool):
            ConnectionCls = Plain

        class SecurePool(HTTPSConnectionPool):
            ConnectionCls = Secure

        return {"http": PlainPool, "https": SecurePool}


ANYWHERE = Reach((ip_network("0.0.0.0/0"), ip_network("::/0")))
"""For addresses that come from the settings, by whoever runs the process: a sign-in service is often internal."""


def _is_public(address: Address) -> bool:
    is_routed = isinstance(address, IPv4Address) or (address in GLOBAL_UNICAST and address not in DOCUMENTATION)
    return is_routed and address.is_global


def _unpacked(address: Address) -> Iterator[Address]:
    """Yield an address, or the IPv4 addresses that it stands for."""
    if isinstance(address, IPv4Address) or address in OURSELVES:
        yield address
        return
    packed = [address.sixtofour, *(address.teredo or ())]
    if any(address in network for network in PACKED):
        packed.append(IPv4Address(int(address) & 0xFFFFFFFF))
    inner = [each for each in packed if each is not None]
    yield from inner or [address]
