"""May this caller associate, and what may it do? A pure rule over what is known."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from enum import StrEnum

from dicom_node.peers import addresses
from dicom_node.peers.identity import Identity, Users, verify
from dicom_node.peers.peer import EVERYTHING, LATIN_1, Certificate, Destination, Peer, Service

PERMANENT = 1  # PS3.8 9.3.4
BY_USER, BY_ACSE = 1, 2
NO_REASON, CALLING_AE_UNKNOWN, CALLED_AE_UNKNOWN = 1, 3, 7


class Cause(StrEnum):
    """Why a caller was rejected, in a word."""

    CALLED_AE = "called-ae"
    UNKNOWN_AE = "unknown-ae"
    NEW_ADDRESS = "new-address"
    CERTIFICATE = "certificate"
    USER = "user"


@dataclass(frozen=True)
class Caller:
    """Who asks for an association; `certificate` is one that an authority vouched for."""

    ae_title: str
    called_ae: str
    address: str
    certificate: Certificate | None = None
    secured: bool = False
    identity: Identity | None = None


@dataclass(frozen=True)
class Grant:
    """What a caller may do (`destinations` None: every known one), and how it is served.

    `identity_response` goes into the A-ASSOCIATE-AC unless it is None.
    """

    echo: bool
    store: bool
    query: bool
    retrieve: bool
    commit: bool
    reject: bool = False
    destinations: frozenset[str] | None = None
    syntax_preference: tuple[str, ...] = ()
    fallback_charset: str = LATIN_1
    non_patient_objects: bool = False
    max_associations: int | None = None
    user: str = ""
    identity_response: bytes | None = None

    def may_send_to(self, ae_title: str) -> bool:
        """Return whether this caller's C-MOVE may name a destination."""
        return self.destinations is None or ae_title in self.destinations


@dataclass(frozen=True)
class Rejection:
    """An A-ASSOCIATE-RJ (PS3.8 9.3.4), and in one line why, for IT."""

    result: int
    source: int
    reason: int
    why: str
    cause: Cause


def _nowhere(host: str) -> frozenset[str]:
    return frozenset()


@dataclass(frozen=True)
class Book:
    """All that the decision looks at; `problem` tells what of it could not be read."""

    own_title: str
    peers: Mapping[str, Peer] = field(default_factory=dict)
    check_called: bool = False
    any_from_loopback: bool = False
    users: Users = field(default_factory=Users)
    resolve: Callable[[str], frozenset[str]] = _nowhere
    problem: str = ""

    def destination(self, ae_title: str) -> Destination | None:
        """Return where an AE title listens, None where that is not known."""
        peer = self.peers.get(ae_title)
        return peer.listens if peer else None

    @property
    def destinations(self) -> dict[str, Destination]:
        """Every known destination by its AE title."""
        return {title: peer.listens for title, peer in self.peers.items() if peer.listens}


def decide(book: Book, caller: Caller) -> Grant | Rejection:
    """Return what a caller may do, or the rejection; the user is looked at last."""
    if book.check_called and caller.called_ae != book.own_title:
        return _rejection(
            Cause.CALLED_AE,
            f"called AE title {caller.called_ae!r} is not {book.own_title!r}",
            reason=CALLED_AE_UNKNOWN,
        )
    known = book.peers.get(caller.ae_title)
    trusted = book.any_from_loopback and addresses.is_loopback(caller.address)
    if not trusted:
        rejection = _stranger(book, known, caller)
        if rejection is not None:
            return rejection
    user = verify(caller.identity, book.users)
    if isinstance(user, str):
        return _rejection(Cause.USER, user, source=BY_ACSE, reason=NO_REASON)
    peer = known or Peer(caller.ae_title)
    return _grant(peer, EVERYTHING if trusted else peer.may, trusted, user.user, user.response)


def _stranger(book: Book, known: Peer | None, caller: Caller) -> Rejection | None:
    if known is None:
        return _rejection(Cause.UNKNOWN_AE, f"calling AE title {caller.ae_title!r} is not known")
    if not addresses.matches(known.addresses, caller.address, book.resolve):
        expected = ", ".join(known.addresses[:8]) or "no address"
        return _rejection(
            Cause.NEW_ADDRESS,
            f"calling AE title {caller.ae_title!r} came from {caller.address}, expected {expected}",
        )
    if not known.certificate.fits(caller.certificate):
        shown = caller.certificate
        which = f"showed {shown.subject} ({shown.sha256})" if shown else "showed none"
        return _rejection(
            Cause.CERTIFICATE,
            f"calling AE title {caller.ae_title!r} needs its own TLS certificate, and {which}",
        )
    return None


def _rejection(
    cause: Cause, why: str, *, source: int = BY_USER, reason: int = CALLING_AE_UNKNOWN
) -> Rejection:
    return Rejection(PERMANENT, source, reason, why, cause)


def _grant(
    peer: Peer, may: frozenset[Service], trusted: bool, user: str, response: bytes | None
) -> Grant:
    return Grant(
        echo=Service.ECHO in may,
        store=Service.STORE in may,
        query=Service.QUERY in may,
        retrieve=Service.RETRIEVE in may,
        commit=Service.COMMIT in may,
        reject=Service.REJECT in peer.may,
        destinations=None if trusted else peer.destinations,
        syntax_preference=peer.transfer_syntaxes,
        fallback_charset=peer.charset,
        non_patient_objects=peer.non_patient_objects,
        max_associations=peer.max_associations,
        user=user,
        identity_response=response,
    )
