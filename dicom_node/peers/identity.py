"""User identity negotiation (PS3.7 D.3.3.7): who is the person behind an association?"""

from __future__ import annotations

import threading
from collections.abc import Mapping
from dataclasses import dataclass, field

import jwt
from argon2 import PasswordHasher
from argon2.exceptions import Argon2Error, InvalidHashError
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
from cryptography.hazmat.primitives.serialization import load_pem_public_key

USERNAME, PASSCODE, KERBEROS, SAML, JSON_WEB_TOKEN = 1, 2, 3, 4, 5  # PS3.7 table D.3-14
LEEWAY_S = 30
MAX_NAME = 64
_HASHER = PasswordHasher()
_ONE_AT_A_TIME = threading.Lock()  # a hash takes 64 MiB; a crowd of guesses must not
_ALGORITHMS = {
    rsa.RSAPublicKey: ["RS256", "RS384", "RS512", "PS256", "PS384", "PS512"],
    ec.EllipticCurvePublicKey: ["ES256", "ES384", "ES512"],
    ed25519.Ed25519PublicKey: ["EdDSA"],
}


@dataclass(frozen=True)
class Identity:
    """What a peer says of its user, as it came."""

    kind: int
    primary: bytes
    secondary: bytes = b""
    wants_response: bool = False


@dataclass(frozen=True)
class Verified:
    """A user who is believed; `response` goes into the A-ASSOCIATE-AC unless it is None."""

    user: str
    response: bytes | None = None


@dataclass(frozen=True)
class TokenRules:
    """Which JSON Web Tokens are believed: by key (PEM), issuer and audience."""

    key: bytes
    issuer: str
    audience: str


@dataclass(frozen=True)
class Users:
    """What is known of users: `hashes` has "" for one who needs no passcode."""

    demand: str = "none"
    hashes: Mapping[str, str] = field(default_factory=dict)
    tokens: TokenRules | None = None


def hashed(passcode: str) -> str:
    """Return the Argon2 hash of a passcode, for the users' file."""
    return _HASHER.hash(passcode)


def verify(identity: Identity | None, users: Users) -> Verified | str:
    """Return the user, nobody ("") where none is asked for, or in one line why not."""
    if users.demand == "none" or (identity is None and users.demand == "optional"):
        return Verified("")
    if identity is None:
        return "no user identity is given, and one is required"
    answer = _checked(identity, users)
    if isinstance(answer, Verified) and identity.wants_response:
        return Verified(answer.user, b"")  # PS3.7 table D.3-15: empty for these kinds
    return answer


def _checked(identity: Identity, users: Users) -> Verified | str:
    if identity.kind in (USERNAME, PASSCODE):
        return _named(identity, users.hashes)
    if identity.kind == JSON_WEB_TOKEN:
        return _of_token(identity.primary, users.tokens)
    name = {KERBEROS: "a Kerberos ticket", SAML: "a SAML assertion"}.get(identity.kind)
    return f"{name or f'user identity of type {identity.kind}'} is not taken here"


def _named(identity: Identity, hashes: Mapping[str, str]) -> Verified | str:
    try:
        name, passcode = identity.primary.decode(), identity.secondary.decode()
    except UnicodeDecodeError:
        return "the user's name or passcode is not UTF-8"
    expected = hashes.get(name)
    if identity.kind == USERNAME:
        needs_none = expected == ""
        return Verified(name) if needs_none else f"user {name[:MAX_NAME]!r} needs a passcode"
    with _ONE_AT_A_TIME:
        is_right = _is_right(expected or _nobodys_hash(), passcode)
    return Verified(name) if expected and is_right else f"user {name[:MAX_NAME]!r}: wrong passcode"


def _is_right(expected: str, passcode: str) -> bool:
    try:
        return _HASHER.verify(expected, passcode)
    except (Argon2Error, InvalidHashError):
        return False


def _nobodys_hash() -> str:
    """Return a hash that an unknown name is held against, so that it takes as long."""
    global _NOBODY
    _NOBODY = _NOBODY or _HASHER.hash("nobody")
    return _NOBODY


_NOBODY = ""


def _of_token(primary: bytes, rules: TokenRules | None) -> Verified | str:
    if rules is None:
        return "a JSON Web Token is not taken here: PACS_DICOM_JWT_KEY is not set"
    key = public_key(rules.key)
    try:
        claims = jwt.decode(
            primary.decode("ascii"),
            key,
            algorithms=next(names for kind, names in _ALGORITHMS.items() if isinstance(key, kind)),
            audience=rules.audience,
            issuer=rules.issuer or None,
            leeway=LEEWAY_S,
            options={"require": ["exp", "sub", *(["iss"] if rules.issuer else [])]},
        )
    except UnicodeDecodeError:
        return "the JSON Web Token is not ASCII"
    except jwt.PyJWTError as error:
        return f"the JSON Web Token is not believed: {error}"[:200]
    return Verified(str(claims["sub"])[:MAX_NAME])


def public_key(
    pem: bytes,
) -> rsa.RSAPublicKey | ec.EllipticCurvePublicKey | ed25519.Ed25519PublicKey:
    """Return a key that tokens may be signed with; raises ValueError."""
    try:
        key = load_pem_public_key(pem)
    except UnsupportedAlgorithm:
        key = None
    if not isinstance(key, tuple(_ALGORITHMS)):
        raise ValueError("it is no RSA, EC or Ed25519 public key")
    return key
