"""A known peer: who it is, what it may do, where it listens, what it prefers; and its JSON."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from cryptography import x509
from pydicom.charset import python_encoding

from dicom_node.peers import addresses
from pacs_common.errors import ArgensError, BadInput
from pacs_common.uids import Uid

LATIN_1 = "ISO_IR 100"
MAX_TEXT = 200
_AE_TITLE = re.compile(r"[\x20-\x5b\x5d-\x7e]{1,16}\Z")  # PS3.5 6.2
_SHA256 = re.compile(r"[0-9a-f]{64}\Z")


class Service(StrEnum):
    """What a peer may ask the node for."""

    ECHO = "echo"
    STORE = "store"
    QUERY = "query"
    RETRIEVE = "retrieve"
    COMMIT = "commit"
    REJECT = "reject"


# What those may who have no right of their own named: a rejection note of theirs hides nothing.
EVERYTHING = frozenset(Service) - {Service.REJECT}


@dataclass(frozen=True)
class Certificate:
    """A TLS certificate that an authority of ours vouched for: its digest and RFC 4514 subject."""

    sha256: str
    subject: str


@dataclass(frozen=True)
class CertificateRule:
    """Which certificate a peer must show; empty parts do not matter."""

    sha256: str = ""
    subject: str = ""

    def fits(self, shown: Certificate | None) -> bool:
        """Return whether a certificate (or none) is the one that is asked for."""
        if not self.is_set:
            return True
        if shown is None:
            return False
        fits_digest = not self.sha256 or self.sha256 == shown.sha256
        return fits_digest and (not self.subject or self.subject == shown.subject)

    @property
    def is_set(self) -> bool:
        """True where a certificate is asked for at all."""
        return bool(self.sha256 or self.subject)


@dataclass(frozen=True)
class Destination:
    """Where a peer listens, for C-MOVE, forwarding and commitment reports."""

    ae_title: str
    host: str
    port: int
    tls: bool = False
    certificate: CertificateRule = CertificateRule()


@dataclass(frozen=True)
class Peer:
    """One AE title that the node knows.

    `destinations` are where its C-MOVE may send to (None: every known one).
    """

    ae_title: str
    addresses: tuple[str, ...] = ()
    certificate: CertificateRule = CertificateRule()
    may: frozenset[Service] = frozenset()
    destinations: frozenset[str] | None = None
    listens: Destination | None = None
    transfer_syntaxes: tuple[str, ...] = ()
    charset: str = LATIN_1
    non_patient_objects: bool = False
    max_associations: int | None = None
    note: str = ""


def from_json(told: Any) -> Peer:
    """Return a peer as `docs/interfaces.md` writes it; raises BadInput with one line."""
    if not isinstance(told, Mapping):
        raise BadInput("a peer is not a JSON object")
    title = ae_title(told.get("ae_title"))
    try:
        unknown = set(told) - _FIELDS
        if unknown:
            raise BadInput(f"{_names(unknown)} is not a field of a peer")
        certificate = _certificate(told.get("certificate"))
        return Peer(
            ae_title=title,
            addresses=tuple(_address(one) for one in _list(told, "addresses")),
            certificate=certificate,
            may=frozenset(_service(one) for one in _list(told, "may")),
            destinations=_destinations(told.get("destinations")),
            listens=_listens(title, told.get("listens"), certificate),
            transfer_syntaxes=tuple(_syntax(one) for one in _list(told, "transfer_syntaxes")),
            charset=_charset(told.get("charset", LATIN_1)),
            non_patient_objects=_flag(told, "non_patient_objects", False),
            max_associations=_limit(told.get("max_associations")),
            note=_text(told, "note"),
        )
    except ArgensError as error:
        raise BadInput(f"peer {title!r}: {error}") from None


def to_json(peer: Peer) -> dict[str, Any]:
    """Return what `from_json` reads."""
    listens, rule = peer.listens, peer.certificate
    return {
        "ae_title": peer.ae_title,
        "addresses": list(peer.addresses),
        "certificate": {"sha256": rule.sha256, "subject": rule.subject} if rule.is_set else None,
        "may": [str(service) for service in Service if service in peer.may],
        "destinations": None if peer.destinations is None else sorted(peer.destinations),
        "listens": {"host": listens.host, "port": listens.port, "tls": listens.tls}
        if listens
        else None,
        "transfer_syntaxes": list(peer.transfer_syntaxes),
        "charset": peer.charset,
        "non_patient_objects": peer.non_patient_objects,
        "max_associations": peer.max_associations,
        "note": peer.note,
    }


_FIELDS = set(to_json(Peer("")))


def ae_title(value: Any) -> str:
    """Return an AE title without its padding; raises BadInput (PS3.5 6.2)."""
    text = value.strip() if isinstance(value, str) else ""
    if not _AE_TITLE.match(text):
        raise BadInput(f"{value!r:.80} is not an AE title (1 to 16 characters, no backslash)")
    return text


def _list(told: Mapping[str, Any], name: str) -> list[Any]:
    value = told.get(name, [])
    if not isinstance(value, list) or len(value) > MAX_TEXT:
        raise BadInput(f"{name} is not a list of at most {MAX_TEXT}")
    return value


def _text(told: Mapping[str, Any], name: str) -> str:
    value = told.get(name, "")
    if not isinstance(value, str) or len(value) > MAX_TEXT:
        raise BadInput(f"{name} is not a text of at most {MAX_TEXT} characters")
    return value


def _flag(told: Mapping[str, Any], name: str, default: bool) -> bool:
    value = told.get(name, default)
    if not isinstance(value, bool):
        raise BadInput(f"{name} is neither true nor false")
    return value


def _address(value: Any) -> str:
    if not isinstance(value, str) or not addresses.is_rule(value):
        raise BadInput(f"{value!r:.80} is not an address, a network, a host name or *")
    return value


def _service(value: Any) -> Service:
    try:
        return Service(value)
    except ValueError:
        raise BadInput(f"{value!r:.80} is not one of {', '.join(Service)}") from None


def _certificate(value: Any) -> CertificateRule:
    if value is None:
        return CertificateRule()
    if not isinstance(value, Mapping) or set(value) - {"sha256", "subject"}:
        raise BadInput("certificate is not an object of sha256 and subject")
    digest = _text(value, "sha256").replace(":", "").lower()
    if digest and not _SHA256.match(digest):
        raise BadInput("the certificate's sha256 is not 64 hexadecimal digits")
    subject = _text(value, "subject")
    try:
        subject = subject and x509.Name.from_rfc4514_string(subject).rfc4514_string()
    except ValueError:
        raise BadInput(f"{subject!r:.80} is not a subject like CN=ct1,O=Hospital") from None
    return CertificateRule(digest, subject)


def _destinations(value: Any) -> frozenset[str] | None:
    if value is None:
        return None
    if not isinstance(value, list):
        raise BadInput("destinations is neither null nor a list of AE titles")
    return frozenset(ae_title(one) for one in value)


def _listens(title: str, value: Any, certificate: CertificateRule) -> Destination | None:
    if value is None:
        return None
    if not isinstance(value, Mapping) or set(value) - {"host", "port", "tls"}:
        raise BadInput("listens is not an object of host, port and tls")
    host, port = value.get("host"), value.get("port")
    if not isinstance(host, str) or not (addresses.plain(host) or addresses.is_host_name(host)):
        raise BadInput(f"{host!r:.80} is not a host")
    if isinstance(port, bool) or not isinstance(port, int) or not 0 < port < 65536:
        raise BadInput(f"{port!r:.80} is not a port")
    return Destination(title, host, port, _flag(value, "tls", False), certificate)


def _syntax(value: Any) -> str:
    return str(Uid.parse(value, "transfer syntax"))


def _charset(value: Any) -> str:
    if not isinstance(value, str) or value not in python_encoding:
        raise BadInput(f"{value!r:.80} is not a Specific Character Set (PS3.3 C.12.1.1.2)")
    return value


def _limit(value: Any) -> int | None:
    if value is None:
        return None
    if isinstance(value, bool) or not isinstance(value, int) or not 0 < value <= 1000:
        raise BadInput("max_associations is neither null nor between 1 and 1000")
    return value


def _names(names: set[Any]) -> str:
    return ", ".join(sorted(f"{name!r:.40}" for name in names))
