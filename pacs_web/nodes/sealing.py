"""Passwords and keys of foreign servers: encrypted in the database, and never shown again."""

from __future__ import annotations

from cryptography.fernet import InvalidToken, MultiFernet

from pacs_common.errors import PeerUnreachable
from pacs_web import config
from pacs_web.sealed import keys

PURPOSE = b"argens portal: secrets of registered servers"


def sealed(plain: str) -> str:
    """Return a secret as it may stand in the database ("" for none)."""
    if not plain:
        return ""
    return _keys().encrypt(plain.encode()).decode()


def unsealed(kept: str, whose: str) -> str:
    """Return the secret of the server `whose`; PeerUnreachable where the key is another now."""
    if not kept:
        return ""
    try:
        return _keys().decrypt(kept.encode()).decode()
    except InvalidToken:
        raise PeerUnreachable(
            f"{whose}: its password was kept under another key: IT must enter it again"
        ) from None


def resealed(kept: str) -> str:
    """Return a sealed secret under today's key; InvalidToken where no key reads it."""
    return _keys().rotate(kept.encode()).decode()


def _keys() -> MultiFernet:
    """The first encrypts; what the portal's own secret, or one before it, encrypted is read."""
    now, before = (
        (config.REGISTRY_KEY, config.SECRET_KEY),
        (config.REGISTRY_KEY_OLD, config.SECRET_KEY_OLD),
    )
    return keys(PURPOSE, *now, *before)
