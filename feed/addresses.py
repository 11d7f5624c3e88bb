"""Where a request comes from, as far as that can be believed."""

import ipaddress
from collections.abc import Sequence
from functools import lru_cache
from typing import TypeAlias

from feed.asgi import Scope

Network: TypeAlias = ipaddress.IPv4Network | ipaddress.IPv6Network

_HOPS_MAX = 10


class Addresses:
    """Tells a client's address. Whoever is not a trusted proxy is the client, whatever its headers say."""

    def __init__(self, trusted_proxies: Sequence[str]) -> None:
        networks = tuple(ipaddress.ip_network(one) for one in trusted_proxies)
        self._trusts = lru_cache(maxsize=1024)(lambda text: _lies_in(text, networks)) if networks else None

    def of(self, scope: Scope) -> str:
        """Return the right-most address that is no trusted proxy: what stands left of it may be invented."""
        client = scope.get("client")
        peer = str(client[0]) if client else ""
        if self._trusts is None or not self._trusts(peer):
            return peer
        named = b",".join([value for name, value in scope["headers"] if name == b"x-forwarded-for"]).decode("latin-1")
        address = peer
        for hop in reversed(named.split(",")[-_HOPS_MAX:]):
            if _parse(hop.strip()) is None:
                break  # said by nobody we trust
            address = hop.strip()
            if not self._trusts(address):
                break
        return address


def group(address: str) -> str:
    """Return what failures are counted by: an IPv6 subscriber has 2^64 addresses, so its whole /64."""
    found = _parse(address)
    if isinstance(found, ipaddress.IPv6Address) and found.ipv4_mapped is None:
        return str(ipaddress.ip_network((found, 64), strict=False))
    return address


def _lies_in(text: str, networks: Sequence[Network]) -> bool:
    address = _parse(text)
    return address is not None and any(address in network for network in networks)


def _parse(text: str) -> ipaddress.IPv4Address | ipaddress.IPv6Address | None:
    try:
        return ipaddress.ip_address(text)
    except ValueError:
        return None
