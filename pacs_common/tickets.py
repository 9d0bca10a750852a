"""Signed tickets between roles: EdDSA JWTs (RFC 8037), bound to one audience, minutes long.

The portal and the archive each own keys and publish their public halves as
`<trust folder>/<issuer>.pub.pem`; a node and the archive accept only issuers they find there. A
ticket's header names the key that signed it (`kid`), so that a key may follow another while
tickets of both are under way (`ticket_keys.py`).
"""

from __future__ import annotations

import logging
import secrets
import threading
import time
from collections import OrderedDict
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import jwt
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from pacs_common import kept_files, ticket_keys
from pacs_common.errors import NotAuthenticated, Refused
from pacs_common.ticket_keys import LEEWAY_S, LIFETIME_S, SigningKey, TrustedKey, new_key

__all__ = ["LEEWAY_S", "LIFETIME_S", "Ticket", "TicketIssuer", "TicketVerifier", "new_key"]
LOG = logging.getLogger(__name__)
KNOWN_TICKETS = 1024  # checked ones that are remembered


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
        self._keys = [SigningKey(key)]
        self._kept: tuple[Path, Path] | None = None  # the file of the keys, the trust folder
        self._mark: object = None

    @classmethod
    def at(cls, issuer: str, key_file: Path, trust_dir: Path) -> TicketIssuer:
        """Return an issuer whose keys are kept (mode 600) in `key_file`, published in `trust_dir`.

        Where that file is changed (`rotate-key`) its new keys count, in every process at once.
        """
        if not key_file.exists():
            kept_files.write_once(key_file, new_key(), 0o600)
        with kept_files.alone(trust_dir):
            mark = kept_files.mark(key_file)  # before it is read: a later change is seen
            found = cls._of(issuer, _read(key_file))
            found._kept, found._mark = (key_file, trust_dir), mark
            publish(issuer, found._keys, trust_dir)
        return found

    @classmethod
    def of(cls, issuer: str, pem: str, trust_dir: Path) -> TicketIssuer:
        """Return an issuer whose keys are given, published in `trust_dir`; ValueError for none."""
        found = cls._of(issuer, ticket_keys.read_private(pem))
        with kept_files.alone(trust_dir):
            publish(issuer, found._keys, trust_dir)
        return found

    @classmethod
    def kept(cls, issuer: str, file: Path | None, pem: str, trust_dir: Path) -> TicketIssuer:
        """Return an issuer by the file of its keys, or where there is none by their text."""
        return cls.of(issuer, pem, trust_dir) if file is None else cls.at(issuer, file, trust_dir)

    @classmethod
    def _of(cls, issuer: str, keys: list[SigningKey]) -> TicketIssuer:
        found = cls(issuer, keys[0].key)
        found._keys = keys
        return found

    def newest(self) -> TicketIssuer:
        """Return an issuer that signs with the youngest key, though its time may not have come."""
        return TicketIssuer(self.issuer, self._current_keys()[-1].key)

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
        """Return a ticket for `audience` (a role's name), valid for `lifetime_s` seconds.

        No role asks for another lifetime: a key that was followed is retired after LIFETIME_S.
        """
        now = int(time.time())
        signer = ticket_keys.signing(self._current_keys(), now)
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
        return jwt.encode(claims, signer.key, algorithm="EdDSA", headers={"kid": signer.kid})

    def _current_keys(self) -> list[SigningKey]:
        if self._kept is not None:
            mark = kept_files.mark(self._kept[0])
            if mark is not None and mark != self._mark:
                self._read_again(*self._kept, mark)
        return self._keys

    def _read_again(self, key_file: Path, trust_dir: Path, mark: object) -> None:
        try:
            with kept_files.alone(trust_dir):
                keys = _read(key_file)
                publish(self.issuer, keys, trust_dir)
        except (OSError, ValueError) as error:
            LOG.error("the last good keys go on signing: %s", error)
        else:
            self._keys = keys
        self._mark = mark


class TicketVerifier:
    """Checks tickets meant for `audience`, by the public keys in a trust folder.

    A ticket that was checked once is known until it expires or its issuer's key file changes:
    a viewer sends the same one with hundreds of requests. Threads may share a verifier.
    """

    def __init__(self, audience: str, trust_dir: Path) -> None:
        self.audience = audience
        self._trust_dir = trust_dir
        self._checked: OrderedDict[str, tuple[Ticket, float, object]] = OrderedDict()
        self._lock = threading.Lock()

    def verify(self, token: str) -> Ticket:
        """Return the ticket, or raise NotAuthenticated with the reason."""
        known = self._known(token)
        if known is not None:
            return known
        try:
            issuer = jwt.decode(token, options={"verify_signature": False}).get("iss")
            mark = self._mark(issuer)  # before the key is read: a later change is seen
            ticket, until = self._verified(token, issuer)
        except (jwt.ExpiredSignatureError, jwt.ImmatureSignatureError) as error:
            told = f"the ticket is not valid here: {error}; {_by_this_clock(token)}"
            raise NotAuthenticated(told) from None
        except (jwt.PyJWTError, ValueError) as error:
            raise NotAuthenticated(f"the ticket is not valid here: {error}") from None
        with self._lock:
            self._checked[token] = ticket, until, mark
            while len(self._checked) > KNOWN_TICKETS:
                self._checked.popitem(last=False)
        return ticket

    def _known(self, token: str) -> Ticket | None:
        ticket, until, mark = self._checked.get(token, (None, 0.0, None))
        if ticket is None or until <= time.time():
            return None
        return ticket if mark is not None and mark == self._mark(ticket.issuer) else None

    def _mark(self, issuer: object) -> object:
        return kept_files.mark(self._key_file(issuer))

    def _verified(self, token: str, issuer: object) -> tuple[Ticket, float]:
        trusted, claims = self._signed(token, issuer)
        if not isinstance(claims["scope"], str):
            raise NotAuthenticated("the ticket is not valid here: its scope is not a text")
        ticket = Ticket(
            issuer=claims["iss"],
            audience=self.audience,
            subject=claims["sub"],
            scopes=frozenset(claims["scope"].split()),
            study=claims.get("study"),
            plan=claims.get("plan"),
            jti=claims["jti"],
            expires_at=int(claims["exp"]),
        )
        until = ticket.expires_at + LEEWAY_S
        return ticket, until if trusted.until is None else min(until, trusted.until)

    def _signed(self, token: str, issuer: object) -> tuple[TrustedKey, dict[str, Any]]:
        """Return the key that signed a ticket, and what it says."""
        kid = jwt.get_unverified_header(token).get("kid")
        keys = self._usable_keys(issuer, kid)
        for key in keys[:-1]:
            try:
                return key, self._claims(token, key)
            except jwt.InvalidSignatureError:
                continue  # a ticket without `kid`, and another key may have signed it
        return keys[-1], self._claims(token, keys[-1])

    def _claims(self, token: str, trusted: TrustedKey) -> dict[str, Any]:
        found: dict[str, Any] = jwt.decode(
            token,
            trusted.key,
            algorithms=["EdDSA"],
            audience=self.audience,
            leeway=LEEWAY_S,
            options={"require": ["iss", "aud", "sub", "exp", "jti", "scope"]},
        )
        return found

    def _usable_keys(self, issuer: object, kid: str | None) -> list[TrustedKey]:
        """Return the keys that may have signed: the one of this id, or all where none is named."""
        known = [one for one in self._trusted(issuer) if kid in (None, one.kid)]
        if not known:
            raise NotAuthenticated(
                f"{issuer}'s key {str(kid)[:8]!r} is not known here: it was retired, or its public "
                "half was not brought here"
            )
        usable = [one for one in known if not one.is_retired(time.time())]
        if not usable:
            ended = ticket_keys.moment(max(one.until or 0.0 for one in known))
            raise NotAuthenticated(f"{issuer}'s key {known[0].kid[:8]!r} was retired at {ended}")
        return usable

    def _key_file(self, issuer: object) -> Path:
        if not isinstance(issuer, str) or not issuer.replace("-", "").isalnum():
            raise NotAuthenticated("the ticket names no issuer")
        return self._trust_dir / f"{issuer}.pub.pem"

    def _trusted(self, issuer: object) -> list[TrustedKey]:
        try:
            text = self._key_file(issuer).read_text(encoding="ascii", errors="replace")
        except OSError:
            raise NotAuthenticated(f"issuer {issuer!r} is not trusted here") from None
        return ticket_keys.read_public(text)


def _by_this_clock(token: str) -> str:
    """Say how old a well-signed ticket is by this machine's clock: clocks that differ show here."""
    made_at = jwt.decode(token, options={"verify_signature": False}).get("iat")
    if not isinstance(made_at, int | float):
        return "it does not say when it was made"
    age_s = time.time() - made_at
    when = f"{age_s:.0f} s ago" if age_s >= 0 else f"{-age_s:.0f} s from now"
    return f"it was made {when} by this machine's clock: compare the clocks of both machines"


def publish(issuer: str, keys: list[SigningKey], trust_dir: Path) -> None:
    """Put the public halves where whoever shares the folder reads them."""
    target = trust_dir / f"{issuer}.pub.pem"
    text = ticket_keys.public_text(ticket_keys.trusted(keys)).encode()
    if not target.exists() or target.read_bytes() != text:  # a key is new, or was replaced
        kept_files.replace(target, text, 0o644)


def _read(key_file: Path) -> list[SigningKey]:
    try:
        return ticket_keys.read_private(key_file.read_text(encoding="utf-8", errors="replace"))
    except ValueError as error:
        raise ValueError(f"{key_file} {error}") from None
