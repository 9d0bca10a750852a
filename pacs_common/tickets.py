"""Signed tickets between roles: EdDSA JWTs (RFC 8037), bound to one audience, minutes long.

The portal and the archive each own a key and publish its public half as
`<trust folder>/<issuer>.pub.pem`; a node and the archive accept only issuers they find there.
"""

from __future__ import annotations

import secrets
import threading
import time
from collections import OrderedDict
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

import jwt
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from pacs_common import kept_files
from pacs_common.errors import NotAuthenticated, Refused

LIFETIME_S = 120
KNOWN_TICKETS = 1024  # checked ones that are remembered
LEEWAY_S = 30  # custody rule 7: clocks of hospital PCs differ


@dataclass(frozen=True)
class Ticket:
    """What a verified ticket says."""

    issuer: str
    audience: str
    subject: str
    scopes: frozenset[str]
    study: str | None
    plan: str | None
    jti: str
    expires_at: int

    def require(self, scope: str, study: str | None = None) -> None:
        """Raise Refused unless the ticket grants `scope` (and, where it names one, this study)."""
        if scope not in self.scopes:
            raise Refused(f"this ticket does not grant {scope}")
        if self.study is not None and study != self.study:
            raise Refused("this ticket is for another study")


class TicketIssuer:
    """Signs tickets with the issuer's private key."""

    def __init__(self, issuer: str, key: Ed25519PrivateKey) -> None:
        self.issuer = issuer
        self._key = key

    @classmethod
    def at(cls, issuer: str, key_file: Path, trust_dir: Path) -> TicketIssuer:
        """Return an issuer whose key is kept (mode 600) in `key_file`, published in `trust_dir`."""
        return cls.of(issuer, _kept_key(key_file), trust_dir)

    @classmethod
    def of(cls, issuer: str, pem: str, trust_dir: Path) -> TicketIssuer:
        """Return an issuer whose key is given, published in `trust_dir`; ValueError for no key."""
        key = private_key(pem)
        _publish(key, trust_dir / f"{issuer}.pub.pem")
        return cls(issuer, key)

    def issue(
        self,
        audience: str,
        scopes: Iterable[str],
        *,
        subject: str,
        study: str | None = None,
        plan: str | None = None,
        lifetime_s: int = LIFETIME_S,
    ) -> str:
        """Return a ticket for `audience` (a role's name), valid for `lifetime_s` seconds."""
        now = int(time.time())
        claims: dict[str, object] = {
            "iss": self.issuer,
            "aud": audience,
            "sub": subject,
            "iat": now,
            "exp": now + lifetime_s,
            "jti": secrets.token_hex(12),
            "scope": " ".join(scopes),
        }
        if study is not None:
            claims["study"] = study
        if plan is not None:
            claims["plan"] = plan
        return jwt.encode(claims, self._key, algorithm="EdDSA")


class TicketVerifier:
    """Checks tickets meant for `audience`, by the public keys in a trust folder.

    A ticket that was checked once is known until it expires or its issuer's key file changes:
    a viewer sends the same one with hundreds of requests. Threads may share a verifier.
    """

    def __init__(self, audience: str, trust_dir: Path) -> None:
        self.audience = audience
        self._trust_dir = trust_dir
        self._checked: OrderedDict[str, tuple[Ticket, object]] = OrderedDict()
        self._lock = threading.Lock()

    def verify(self, token: str) -> Ticket:
        """Return the ticket, or raise NotAuthenticated with the reason."""
        known = self._known(token)
        if known is not None:
            return known
        try:
            issuer = jwt.decode(token, options={"verify_signature": False}).get("iss")
            mark = self._mark(issuer)  # before the key is read: a later change is seen
            ticket = self._verified(token, issuer)
        except (jwt.ExpiredSignatureError, jwt.ImmatureSignatureError) as error:
            told = f"the ticket is not valid here: {error}; {_by_this_clock(token)}"
            raise NotAuthenticated(told) from None
        except (jwt.PyJWTError, ValueError) as error:
            raise NotAuthenticated(f"the ticket is not valid here: {error}") from None
        with self._lock:
            self._checked[token] = ticket, mark
            while len(self._checked) > KNOWN_TICKETS:
                self._checked.popitem(last=False)
        return ticket

    def _known(self, token: str) -> Ticket | None:
        ticket, mark = self._checked.get(token, (None, None))
        if ticket is None or ticket.expires_at + LEEWAY_S <= time.time():
            return None
        return ticket if mark is not None and mark == self._mark(ticket.issuer) else None

    def _mark(self, issuer: object) -> object:
        """Return what tells one key file of an issuer from the next."""
        try:
            status = self._key_file(issuer).stat()
        except OSError:
            return None
        return status.st_ino, status.st_mtime_ns, status.st_size

    def _verified(self, token: str, issuer: object) -> Ticket:
        claims = jwt.decode(
            token,
            self._public_key(issuer),
            algorithms=["EdDSA"],
            audience=self.audience,
            leeway=LEEWAY_S,
            options={"require": ["iss", "aud", "sub", "exp", "jti", "scope"]},
        )
        if not isinstance(claims["scope"], str):
            raise NotAuthenticated("the ticket is not valid here: its scope is not a text")
        return Ticket(
            issuer=claims["iss"],
            audience=self.audience,
            subject=claims["sub"],
            scopes=frozenset(claims["scope"].split()),
            study=claims.get("study"),
            plan=claims.get("plan"),
            jti=claims["jti"],
            expires_at=int(claims["exp"]),
        )

    def _key_file(self, issuer: object) -> Path:
        if not isinstance(issuer, str) or not issuer.replace("-", "").isalnum():
            raise NotAuthenticated("the ticket names no issuer")
        return self._trust_dir / f"{issuer}.pub.pem"

    def _public_key(self, issuer: object) -> bytes:
        try:
            return self._key_file(issuer).read_bytes()
        except OSError:
            raise NotAuthenticated(f"issuer {issuer!r} is not trusted here") from None


def _by_this_clock(token: str) -> str:
    """Say how old a well-signed ticket is by this machine's clock: clocks that differ show here."""
    made_at = jwt.decode(token, options={"verify_signature": False}).get("iat")
    if not isinstance(made_at, int | float):
        return "it does not say when it was made"
    age_s = time.time() - made_at
    when = f"{age_s:.0f} s ago" if age_s >= 0 else f"{-age_s:.0f} s from now"
    return f"it was made {when} by this machine's clock: compare the clocks of both machines"


def private_key(pem: str) -> Ed25519PrivateKey:
    """Return the key in a PEM text; ValueError where it holds no Ed25519 private key."""
    try:
        key = serialization.load_pem_private_key(pem.encode(), password=None)
    except (ValueError, TypeError, UnsupportedAlgorithm):
        key = None
    if not isinstance(key, Ed25519PrivateKey):
        raise ValueError("does not hold an Ed25519 private key")
    return key


def new_key() -> bytes:
    """Return a new private key, PEM."""
    return Ed25519PrivateKey.generate().private_bytes(
        serialization.Encoding.PEM,
        serialization.PrivateFormat.PKCS8,
        serialization.NoEncryption(),
    )


def _kept_key(key_file: Path) -> str:
    if not key_file.exists():
        kept_files.write_once(key_file, new_key(), 0o600)
    try:
        private_key(pem := key_file.read_text(encoding="utf-8", errors="replace"))
    except ValueError as error:
        raise ValueError(f"{key_file} {error}") from None
    return pem


def _publish(key: Ed25519PrivateKey, target: Path) -> None:
    pem = key.public_key().public_bytes(
        serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo
    )
    if not target.exists() or target.read_bytes() != pem:  # the key is new, or was replaced
        kept_files.replace(target, pem, 0o644)
