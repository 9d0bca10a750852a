"""A validated DICOM UID: the only thing that may become a path (custody rule 11)."""

from __future__ import annotations

import re

from pacs_common.errors import MissingUid, UnsafeUid

MAX_LENGTH = 64  # PS3.5 9.1
_SAFE = re.compile(r"[0-9]+(?:\.[0-9]+)*\Z")
_STANDARD = re.compile(r"(?:0|[1-9][0-9]*)(?:\.(?:0|[1-9][0-9]*))*\Z")


class Uid(str):
    """A path-safe UID: digits and dots, at most 64 characters, no empty component."""

    __slots__ = ()

    @classmethod
    def parse(cls, text: object, name: str = "UID") -> Uid:
        """Return `text` without its padding as a Uid.

        Raises MissingUid when it is empty or None, UnsafeUid when it could not be a path.
        """
        value = "" if text is None else str(text).strip(" \0")
        if not value:
            raise MissingUid(f"{name} is missing")
        if len(value) > MAX_LENGTH or not _SAFE.match(value):
            raise UnsafeUid(
                f"{name} {value[:80]!r} is not digits and dots of at most 64 characters"
            )
        return cls(value)

    @property
    def is_standard(self) -> bool:
        """False where it breaks PS3.5 9.1 (a leading zero): stored all the same, and flagged."""
        return bool(_STANDARD.match(self))
