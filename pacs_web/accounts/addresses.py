"""Where a request comes from: the real address behind our own proxies, inside or outside."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from ipaddress import IPv4Address, IPv6Address, ip_address

from django.http import HttpRequest, HttpResponse

from pacs_common.env import Network
from pacs_web import config

GetResponse = Callable[[HttpRequest], HttpResponse]
Address = IPv4Address | IPv6Address
FORWARDED = (
    *("HTTP_X_FORWARDED_FOR", "HTTP_X_FORWARDED_PROTO", "HTTP_X_FORWARDED_HOST"),
    "HTTP_X_ARGENS_HANDS_OVER",
)


def believe_proxies(get_response: GetResponse) -> GetResponse:
    """Put the real address in REMOTE_ADDR, where the audit and the lock-out read it.

    What others than PACS_TRUSTED_PROXIES say of a request's origin is thrown away.
    """

    def middleware(request: HttpRequest) -> HttpResponse:
        if config.TRUSTED_PROXIES:
            request.META["REMOTE_ADDR"] = _origin(request)
        return get_response(request)

    return middleware


def is_inside(request: HttpRequest) -> bool:
    """Return whether a request comes from the hospital's networks (or none are named)."""
    if not config.INSIDE_NETWORKS:
        return True
    address = _parsed(request.META.get("REMOTE_ADDR", ""))
    return address is not None and (address.is_loopback or _in(address, config.INSIDE_NETWORKS))


def _origin(request: HttpRequest) -> str:
    """Return the last address before the first that is no proxy of ours, read from the right."""
    nearest = request.META.get("REMOTE_ADDR", "")
    address = _parsed(nearest)
    if address is None or not _in(address, config.TRUSTED_PROXIES):
        for header in FORWARDED:
            request.META.pop(header, None)
        return nearest
    for hop in reversed(request.META.get("HTTP_X_FORWARDED_FOR", "").split(",")):
        said = _parsed(hop.strip())
        if said is None:
            break
        address = said
        if not _in(said, config.TRUSTED_PROXIES):
            break
    return str(address)


def _in(address: Address, networks: Sequence[Network]) -> bool:
    return any(address in network for network in networks)


def _parsed(written: str) -> Address | None:
    try:
        address = ip_address(written)
    except ValueError:
        return None
    mapped = address.ipv4_mapped if isinstance(address, IPv6Address) else None
    return mapped or address
