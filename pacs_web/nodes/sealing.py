"""Passwords and keys of foreign servers: encrypted in the database, and never shown again."""

from __future__ import annotations

import base64
from functools import lru_cache

from cryptography.fernet import Fernet, InvalidToken, MultiFernet
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

from pacs_common.errors import PeerUnreachable
from pacs_web import config

PURPOSE = b"argens portal: secrets of registered servers"


def sealed(plain: str) -> str:
    """Return a secret as it may stand in the database ("" for none)."""
    if not plain:
        return ""
    return _keys(config.REGISTRY_KEY, config.SECRET_KEY).encrypt(plain.encode()).decode()


def unsealed(kept: str, whose: str) -> str:
    """Return the secret of the server `whose`; PeerUnreachable where the key is another now."""
    if not kept:
        return ""
    try:
        return _keys(config.REGISTRY_KEY, config.SECRET_KEY).decrypt(kept.encode()).decode()
    except InvalidToken:
        raise PeerUnreachable(
            f"{whose}: its password was kept under another key: IT must enter it again"
        ) from None


@lru_cache(maxsize=4)
def _keys(*given: str) -> MultiFernet:
    """The first encrypts; what the portal's own secret once encrypted is still read."""
    return MultiFernet([Fernet(_derived(one)) for one in given if one])


def _derived(secret: str) -> bytes:
    derived = HKDF(algorithm=SHA256(), length=32, salt=None, info=PURPOSE).derive(secret.encode())
    return base64.urlsafe_b64encode(derived)
