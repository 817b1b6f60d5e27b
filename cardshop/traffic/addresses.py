"""Who is calling, when proxies of ours stand in between."""

from collections.abc import Mapping
from functools import lru_cache
from ipaddress import ip_address, ip_network
from typing import Any

from django.conf import settings

from cardshop.common.ids import keyed_digest


def client_address(environ: Mapping[str, Any]) -> str:
    """Behind proxies of ours (TRUSTED_PROXIES), the address of whoever called them.

    X-Forwarded-For is read from the right, as far as our own proxies wrote it; what stands further
    left was said by the client and is not believed.
    """
    address: str = environ.get("REMOTE_ADDR", "")
    hops = environ.get("HTTP_X_FORWARDED_FOR", "").split(",")
    trusted = tuple(settings.TRUSTED_PROXIES)
    while hops and _is_ours(address, trusted) and _is_address(last := hops.pop().strip()):
        address = last
    return address


@lru_cache(maxsize=4096)
def address_key_of(address: str) -> str:
    """Stands for a network address; empty for one that says nothing of who it is.

    An IPv6 household has a /64 of its own. A private or loopback address is our own proxy's.
    """
    try:
        parsed = ip_address(address)
    except ValueError:
        return ""
    # A socket that takes both kinds shows IPv4 callers as ::ffff:8.8.8.8.
    parsed = getattr(parsed, "ipv4_mapped", None) or parsed
    if not parsed.is_global:
        return ""
    whole = parsed.exploded[:19] if parsed.version == 6 else str(parsed)
    return keyed_digest("address", whole)


@lru_cache(maxsize=4096)
def _is_ours(address: str, trusted: tuple[str, ...]) -> bool:
    return _is_address(address) and any(ip_address(address) in ip_network(network) for network in trusted)


def _is_address(text: str) -> bool:
    try:
        ip_address(text)
    except ValueError:
        return False
    return True
