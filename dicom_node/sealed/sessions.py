"""Sessions of the emergency account: files on the node, short, ended by a new passphrase.

The browser holds a random key; the file is named by its digest, so that who reads the disk has no
key. Searches lie in it too: no patient's name stands in an address.
"""

from __future__ import annotations

import json
import re
import secrets
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass, field
from hashlib import sha256
from pathlib import Path

from dicom_node.sealed.account import FOLDER_MODE, MODE, seal
from dicom_node.store.blobs import disk_errors, locked
from dicom_node.store.layout import Layout
from pacs_common import kept_files

MOST_SEARCHES = 20
_KEY = re.compile(r"[A-Za-z0-9_-]{43}\Z")


@dataclass
class Session:
    """Who logged in, why, until when (seconds since 1970), and what was searched."""

    person: str
    reason: str
    address: str
    seal_made_at: str
    ends_at: float
    searches: dict[str, dict[str, str]] = field(default_factory=dict)


class Sessions:
    """The sessions below `<data>/rescue/sessions/`."""

    def __init__(
        self, layout: Layout, lasts_s: float, clock: Callable[[], float] = time.time
    ) -> None:
        self._layout, self._lasts_s, self._clock = layout, lasts_s, clock

    def begin(self, person: str, reason: str, address: str) -> str:
        """Begin a session; return its key for the browser. Raises Unavailable, DiskFull."""
        folder = self._layout.rescue_sessions
        key, known = secrets.token_urlsafe(32), seal(self._layout)
        made_at = known.made_at if known else ""
        ends_at = self._clock() + self._lasts_s
        with disk_errors():
            folder.mkdir(mode=FOLDER_MODE, parents=True, exist_ok=True)
            self._sweep(folder)
            self._write(key, Session(person, reason, address, made_at, ends_at))
        return key

    def find(self, key: str) -> Session | None:
        """Return the session of a key, None where it is over, or of an older passphrase."""
        if not _KEY.match(key):
            return None
        try:
            found = Session(**json.loads(self._file(key).read_bytes()))
        except (OSError, ValueError, TypeError):
            return None
        known = seal(self._layout)
        is_of_now = known is not None and known.made_at == found.seal_made_at
        return found if is_of_now and found.ends_at > self._clock() else None

    def end(self, key: str) -> None:
        """End a session."""
        if _KEY.match(key):
            self._file(key).unlink(missing_ok=True)

    def keep_search(self, key: str, asked: dict[str, str]) -> str:
        """Keep what was searched, the last ones; return a name for it that tells nothing."""
        name = secrets.token_urlsafe(9)
        with locked(self._layout.rescue_sessions, exclusive=True), disk_errors():
            session = self.find(key)
            if session is not None:
                kept = [*session.searches.items(), (name, asked)]
                session.searches = dict(kept[-MOST_SEARCHES:])
                self._write(key, session)
        return name

    def _file(self, key: str) -> Path:
        return self._layout.rescue_sessions / f"{sha256(key.encode()).hexdigest()}.json"

    def _write(self, key: str, session: Session) -> None:
        kept_files.replace(self._file(key), json.dumps(asdict(session)).encode(), MODE)

    def _sweep(self, folder: Path) -> None:
        """Remove what is over."""
        for file in folder.glob("*.json"):
            if file.stat().st_mtime + self._lasts_s < self._clock():
                file.unlink(missing_ok=True)
