"""Where a peer may call from: IP addresses, networks, host names, or "*" for anywhere."""

from __future__ import annotations

import ipaddress
import re
import socket
import threading
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass

ANYWHERE = "*"
FRESH_S, FAILED_S, WAIT_S = 60.0, 10.0, 2.0
_HOST = re.compile(r"(?=.{1,253}\Z)(?:[A-Za-z0-9_](?:[A-Za-z0-9_-]{0,61}[A-Za-z0-9_])?\.?)+\Z")
_NUMERIC = re.compile(r"[0-9.]+\Z")
Address = ipaddress.IPv4Address | ipaddress.IPv6Address
Network = ipaddress.IPv4Network | ipaddress.IPv6Network


def plain(text: str) -> Address | None:
    """Return an IP address, IPv4 out of its IPv6 mapping and without a zone; None for no address.

    A dual-stack socket tells 10.0.0.7 as ::ffff:10.0.0.7.
    """
    try:
        address = ipaddress.ip_address(text.partition("%")[0])
    except ValueError:
        return None
    mapped = getattr(address, "ipv4_mapped", None)
    return mapped or address


def is_loopback(text: str) -> bool:
    """True for an address of this very machine's loopback."""
    address = plain(text)
    return address is not None and address.is_loopback


def is_host_name(text: str) -> bool:
    """True for what may be a host's name; never for a mistyped address like 10.0.0.300."""
    return _HOST.match(text) is not None and _NUMERIC.match(text) is None


def is_rule(text: str) -> bool:
    """True for an address, a network, a host name or "*"."""
    return text == ANYWHERE or _network(text) is not None or is_host_name(text)


def matches(rules: Iterable[str], address: str, resolve: Callable[[str], frozenset[str]]) -> bool:
    """Return whether a caller's address fits a rule; names are resolved only if nothing else fits.

    So a name server is asked only for a known AE title that comes from an unknown address.
    """
    caller = plain(address)
    names = []
    for rule in rules:
        if rule == ANYWHERE:
            return True
        network = _network(rule)
        if network is not None and caller is not None and _is_within(caller, network):
            return True
        if network is None and is_host_name(rule):
            names.append(rule)
    return caller is not None and any(
        caller == plain(found) for name in names for found in resolve(name)
    )


def _is_within(caller: Address, network: Network) -> bool:
    return caller.version == network.version and caller in network


def _network(text: str) -> Network | None:
    """Return an address or a network as a network; None where it is neither, or has host bits."""
    address = plain(text)
    try:
        return ipaddress.ip_network(text if address is None else address)
    except ValueError:
        return None


@dataclass(frozen=True)
class _Known:
    addresses: frozenset[str]
    until: float


class Names:
    """Resolves host names, each at most once a minute; a slow name server holds a caller 2 s.

    While the name server is away, what it said last stays true.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._known: dict[str, _Known] = {}
        self._asked: dict[str, threading.Event] = {}

    def __call__(self, host: str) -> frozenset[str]:
        """Return the addresses of a host; empty where they are not known."""
        with self._lock:
            known = self._known.get(host)
            if known is not None and known.until > time.monotonic():
                return known.addresses
            answered = self._asked.get(host)
            if answered is None:
                answered = self._asked[host] = threading.Event()
                threading.Thread(target=self._ask, args=(host, answered), daemon=True).start()
        answered.wait(WAIT_S)
        with self._lock:
            known = self._known.get(host)
            return known.addresses if known is not None else frozenset()

    def _ask(self, host: str, answered: threading.Event) -> None:
        found = resolved(host)
        with self._lock:
            last = self._known.get(host)
            lasts = FRESH_S if found else FAILED_S
            kept = found or (last.addresses if last is not None else frozenset())
            self._known[host] = _Known(kept, time.monotonic() + lasts)
            del self._asked[host]
        answered.set()


def resolved(host: str) -> frozenset[str]:
    """Return the addresses that the system's resolver gives; empty where it gives none."""
    try:
        answers = socket.getaddrinfo(host, None, type=socket.SOCK_STREAM)
    except (OSError, UnicodeError):
        return frozenset()
    return frozenset(str(answer[4][0]) for answer in answers)
