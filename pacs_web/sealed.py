"""What the portal keeps encrypted in its database: one key a purpose, made of its secrets."""

from __future__ import annotations

import base64
from functools import lru_cache

from cryptography.fernet import Fernet, MultiFernet
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF


@lru_cache(maxsize=16)
def keys(purpose: bytes, *secrets: str) -> MultiFernet:
    """Return what the first secret (that is not "") encrypts, and all of them read."""
    return MultiFernet([Fernet(_derived(one, purpose)) for one in secrets if one])


def _derived(secret: str, purpose: bytes) -> bytes:
    derived = HKDF(algorithm=SHA256(), length=32, salt=None, info=purpose).derive(secret.encode())
    return base64.urlsafe_b64encode(derived)
