"""The emergency account of a node: a passphrase in an envelope, of which a hash is kept.

`<data>/rescue/account.json`, mode 600. Whoever opens the envelope and logs in breaks the seal: that
stays written down, and is told, until a new passphrase is made.
"""

from __future__ import annotations

import json
import logging
import secrets
import threading
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from argon2 import PasswordHasher
from argon2.exceptions import Argon2Error, InvalidHashError

from dicom_node.store.blobs import disk_errors, locked
from dicom_node.store.layout import Layout
from pacs_common import kept_files
from pacs_common.errors import Conflict, NotFound

LOG = logging.getLogger(__name__)
MODE, FOLDER_MODE = 0o600, 0o700
LETTERS = "ABCDEFGHJKMNPQRSTUVWXYZ23456789"  # none that a hand or an eye takes for another
GROUPS, OF_A_GROUP = 4, 5  # 99 bits
MOST_TYPED = 200
_HASHER = PasswordHasher()
_ONE_AT_A_TIME = threading.Lock()  # a hash takes 64 MiB; a crowd of guesses must not


@dataclass(frozen=True)
class Seal:
    """When the passphrase was made, and when it was first used: None while the seal is whole."""

    made_at: str
    opened_at: str | None

    @property
    def is_broken(self) -> bool:
        """Whether somebody has logged in with it."""
        return self.opened_at is not None


def seal(layout: Layout) -> Seal | None:
    """Return the state of the seal; None where there is no account, or its file makes no sense."""
    kept = _read(layout)
    return Seal(kept["made_at"], kept.get("opened_at")) if kept else None


def make(layout: Layout, *, reseal: bool) -> str:
    """Make the account, or with `reseal` a new passphrase for it; return the passphrase, once.

    A new one ends what the old one opened. Raises Conflict where there is an account already.
    """
    layout.rescue.mkdir(mode=FOLDER_MODE, parents=True, exist_ok=True)
    passphrase = "-".join(
        "".join(secrets.choice(LETTERS) for _ in range(OF_A_GROUP)) for _ in range(GROUPS)
    )
    with locked(layout.rescue, exclusive=True):
        known = seal(layout)
        if known is not None and not reseal:
            raise Conflict(f"there is an account, made at {known.made_at}: --reseal replaces it")
        kept = {"hash": _HASHER.hash(_plain(passphrase)), "made_at": _now(), "opened_at": None}
        _write(layout, kept)
    return passphrase


def remove(layout: Layout) -> None:
    """Take the account away: its pages are gone. Raises NotFound where there is none."""
    try:
        layout.rescue_account.unlink()
    except FileNotFoundError:
        raise NotFound("there is no emergency account here") from None


def is_right(layout: Layout, typed: str) -> bool:
    """Return whether this is the passphrase; dashes, blanks and capitals do not matter."""
    kept = _read(layout)
    if kept is None or len(typed) > MOST_TYPED:
        return False
    try:
        with _ONE_AT_A_TIME:
            return _HASHER.verify(kept["hash"], _plain(typed))
    except (Argon2Error, InvalidHashError):
        return False


def break_seal(layout: Layout) -> Seal:
    """Note, durably, that the passphrase was used; the first time stands. Raises Unavailable."""
    with locked(layout.rescue, exclusive=True):
        kept = _read(layout)
        if kept is None:
            raise NotFound("there is no emergency account here")
        if not kept.get("opened_at"):
            kept["opened_at"] = _now()
            with disk_errors():
                _write(layout, kept)
    tell(layout)
    return Seal(kept["made_at"], kept["opened_at"])


def tell(layout: Layout) -> None:
    """Log a broken seal as an error: at each use, and at each start until it is resealed."""
    known = seal(layout)
    if known is not None and known.is_broken:
        about = {"opened_at": known.opened_at}
        LOG.error("the seal of the emergency account is broken: reseal it", extra=about)


def _plain(typed: str) -> str:
    return "".join(letter for letter in typed.upper() if letter.isalnum())


def _now() -> str:
    return datetime.now(UTC).isoformat()


def _write(layout: Layout, kept: dict[str, Any]) -> None:
    kept_files.replace(layout.rescue_account, json.dumps(kept).encode(), MODE)


def _read(layout: Layout) -> dict[str, Any] | None:
    try:
        kept = json.loads(layout.rescue_account.read_bytes())
        return kept if isinstance(kept["hash"], str) and isinstance(kept["made_at"], str) else None
    except FileNotFoundError:
        return None
    except (OSError, ValueError, LookupError, TypeError) as error:
        LOG.error("the emergency account cannot be read: %s", error)
        return None
