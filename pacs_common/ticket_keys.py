"""The keys of one issuer of tickets as texts: several at once, so that one may follow another.

A private text holds keys in PEM, each below a line that says since when it signs (none: ever
since); a public text holds the other halves, each below a line that says until when it is
believed. Both are PEM with explanatory text (RFC 7468 2), which any reader of PEM skips.
"""

from __future__ import annotations

import base64
import hashlib
import re
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TypeVar

from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey

LIFETIME_S = 120  # of a ticket; none lives longer
LEEWAY_S = 30  # custody rule 7: clocks of hospital PCs differ
SINCE, UNTIL = "signs-since", "believed-until"
_BLOCK = re.compile(
    r"(?:^[ \t]*(?P<word>[a-z-]+): *(?P<time>\S+)[ \t]*\r?\n)?"
    r"(?P<pem>^-----BEGIN (?P<kind>[A-Z ]+)-----[^-]+-----END (?P=kind)-----)",
    re.MULTILINE,
)
K = TypeVar("K")


@dataclass(frozen=True)
class SigningKey:
    """A private key, and since when it signs (seconds since 1970; 0 is ever since)."""

    key: Ed25519PrivateKey
    since: float = 0.0

    @property
    def kid(self) -> str:
        """Its id, that of its public half."""
        return key_id(self.key.public_key())


@dataclass(frozen=True)
class TrustedKey:
    """A public key, and until when it is believed (None: no end is known)."""

    key: Ed25519PublicKey
    until: float | None = None

    @property
    def kid(self) -> str:
        """Its id (RFC 8037 appendix A.3)."""
        return key_id(self.key)

    def is_retired(self, now: float) -> bool:
        """Return whether its end has passed."""
        return self.until is not None and self.until <= now


def key_id(key: Ed25519PublicKey) -> str:
    """Return the thumbprint of a public key (RFC 7638, RFC 8037 appendix A.3)."""
    raw = key.public_bytes(serialization.Encoding.Raw, serialization.PublicFormat.Raw)
    whole = f'{{"crv":"Ed25519","kty":"OKP","x":"{_base64url(raw)}"}}'
    return _base64url(hashlib.sha256(whole.encode()).digest())


def read_private(text: str) -> list[SigningKey]:
    """Return the keys of a private text, in their order of time; ValueError for no such text."""
    found = _blocks(text, SINCE, _private, "does not hold an Ed25519 private key")
    return sorted((SigningKey(key, since or 0.0) for key, since in found), key=_since)


def read_public(text: str) -> list[TrustedKey]:
    """Return the keys of a public text; ValueError for no such text."""
    found = _blocks(text, UNTIL, _public, "does not hold an Ed25519 public key")
    return [TrustedKey(key, until) for key, until in found]


def private_text(keys: Iterable[SigningKey]) -> str:
    """Return private keys as the text that `read_private` reads."""
    return "".join(_line(SINCE, one.since or None) + _pem_of(one.key) for one in keys)


def public_text(keys: Iterable[TrustedKey]) -> str:
    """Return public keys as the text that `read_public` reads."""
    return "".join(
        _line(UNTIL, one.until)
        + one.key.public_bytes(
            serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo
        ).decode()
        for one in keys
    )


def new_key() -> bytes:
    """Return a new private text of one key."""
    return private_text([SigningKey(Ed25519PrivateKey.generate())]).encode()


def signing(keys: Sequence[SigningKey], now: float) -> SigningKey:
    """Return the key that signs at a moment: the youngest whose time has come."""
    due = [one for one in keys if one.since <= now]
    return due[-1] if due else keys[0]


def trusted(keys: Sequence[SigningKey]) -> list[TrustedKey]:
    """Return the public halves: each is believed as long as its last ticket may live."""
    ends = [retired_at(one.since) for one in keys[1:]]
    halves = [one.key.public_key() for one in keys]
    return [TrustedKey(*pair) for pair in zip(halves, [*ends, None], strict=True)]


def retired_at(since: float) -> float:
    """Return when a key ends whose follower signs since a moment."""
    return since + LIFETIME_S + LEEWAY_S


def moment(seconds: float) -> str:
    """Return a time as it stands in these texts (ISO 8601, UTC)."""
    return datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def _since(key: SigningKey) -> float:
    return key.since


def _blocks(
    text: str, word: str, load: Callable[[bytes], K], otherwise: str
) -> list[tuple[K, float | None]]:
    found = []
    for block in _BLOCK.finditer(text):
        try:
            key = load(block["pem"].encode())
        except (ValueError, TypeError, UnsupportedAlgorithm):
            raise ValueError(otherwise) from None
        found.append((key, _time(block["time"]) if block["word"] == word else None))
    if not found or len(found) != text.count("-----BEGIN "):
        raise ValueError(otherwise)
    return found


def _private(pem: bytes) -> Ed25519PrivateKey:
    key = serialization.load_pem_private_key(pem, password=None)
    if not isinstance(key, Ed25519PrivateKey):
        raise ValueError
    return key


def _public(pem: bytes) -> Ed25519PublicKey:
    key = serialization.load_pem_public_key(pem)
    if not isinstance(key, Ed25519PublicKey):
        raise ValueError
    return key


def _time(text: str) -> float:
    try:
        found = datetime.fromisoformat(text)
    except ValueError:
        raise ValueError(f"says {text[:40]!r}, which is no time") from None
    return found.replace(tzinfo=found.tzinfo or UTC).timestamp()


def _line(word: str, seconds: float | None) -> str:
    return "" if seconds is None else f"{word}: {moment(seconds)}\n"


def _pem_of(key: Ed25519PrivateKey) -> str:
    return key.private_bytes(
        serialization.Encoding.PEM,
        serialization.PrivateFormat.PKCS8,
        serialization.NoEncryption(),
    ).decode()


def _base64url(raw: bytes) -> str:
    return base64.urlsafe_b64encode(raw).rstrip(b"=").decode()
