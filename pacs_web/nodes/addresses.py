"""Which addresses may be registered: the portal asks no other, and follows no redirect.

Loopback and the hospital's own networks are allowed, since that is where servers are. What is
refused is what no PACS has: link-local addresses and the cloud's metadata services, from which
somebody who may edit the registry could otherwise read the machine's own credentials.
"""

from __future__ import annotations

import ipaddress
import re
import socket
from urllib.parse import urlsplit

from pacs_common.errors import BadInput

Address = ipaddress.IPv4Address | ipaddress.IPv6Address
METADATA = {  # of cloud providers, beyond the link-local 169.254.169.254
    ipaddress.ip_address("100.100.100.200"),
    ipaddress.ip_address("fd00:ec2::254"),
    ipaddress.ip_address("192.0.0.192"),
}
_HOST = re.compile(
    r"(?=.{1,253}\Z)[A-Za-z0-9_]([A-Za-z0-9_-]*[A-Za-z0-9_])?(\.[A-Za-z0-9_-]+)*\.?\Z"
)
_PATH = re.compile(r"[A-Za-z0-9._~!$&'()*+,;=:@%/-]*\Z")


def checked_url(given: str) -> str:
    """Return the root address of a web server without a slash at its end; raises BadInput."""
    try:
        parts = urlsplit(given.strip())
        port = parts.port
    except ValueError:
        example = "https://pacs.hospital:8443/dicom-web"
        raise BadInput(f"this is no address: one looks like {example}") from None
    if parts.scheme not in {"http", "https"}:
        raise BadInput("an address begins with http:// or https://")
    if "@" in parts.netloc:
        raise BadInput("no user name and no password in the address: they have fields of their own")
    if "?" in given or "#" in given:
        raise BadInput("an address has no ? and no #")
    if port == 0 or not _PATH.match(parts.path) or ".." in parts.path.split("/"):
        raise BadInput("the port or the path of this address cannot be used")
    checked_host(parts.hostname or "")
    return f"{parts.scheme}://{parts.netloc}{parts.path}".rstrip("/")


def checked_host(host: str) -> str:
    """Return a host name or IP address that may be asked; raises BadInput."""
    literal = _literal(host)
    if literal is None and not _HOST.match(host):
        raise BadInput("the host is neither a name nor an IP address")
    if literal is not None:
        _refuse(literal)
    elif host.rstrip(".").lower() in {"metadata", "metadata.google.internal"}:
        raise BadInput(f"{host} is a cloud's metadata service, no server of images")
    return host


def resolved(host: str, port: int) -> list[str]:
    """Return the IP addresses of a host, none of which is refused; BadInput, or OSError."""
    found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    addresses = list(dict.fromkeys(str(one[4][0]) for one in found))
    for address in addresses:
        if (literal := _literal(address)) is not None:
            _refuse(literal)
    return addresses


def _literal(host: str) -> Address | None:
    try:
        address = ipaddress.ip_address(host.partition("%")[0])
    except ValueError:
        return None
    return getattr(address, "ipv4_mapped", None) or address


def _refuse(address: Address) -> None:
    if address.is_link_local or address in METADATA:
        raise BadInput(f"{address} is link-local or a cloud's metadata service: it is never asked")
    if (
        address.is_multicast
        or address.is_unspecified
        or address == ipaddress.ip_address("255.255.255.255")
    ):
        raise BadInput(f"{address} is no address of one machine")
