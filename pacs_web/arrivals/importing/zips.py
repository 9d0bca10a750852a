"""Unpacks a ZIP within bounds: entries, their sizes as they really come, and their ratio."""

from __future__ import annotations

import zipfile
import zlib
from collections.abc import Iterator
from pathlib import Path

from django.utils.translation import gettext as _

from pacs_common.errors import BadInput, TooLarge
from pacs_web import config
from pacs_web.arrivals.importing.spool import MAX_FILES

CHUNK_BYTES = 256 << 10
MAX_RATIO = 200  # lossless images shrink four times, empty ones some hundred
RATIO_FROM_BYTES = 64 << 20  # below, the ratio of one entry does not matter
_BROKEN = (zipfile.BadZipFile, zlib.error, EOFError, OSError, NotImplementedError, RuntimeError)


def is_zip(path: Path) -> bool:
    """Return whether a file begins as a ZIP does."""
    with path.open("rb") as file:
        return file.read(4) == b"PK\x03\x04"


class Unpacked:
    """The entries of a ZIP; raises BadInput where it is none, TooLarge where it is a bomb."""

    def __init__(self, path: Path) -> None:
        try:
            self._zip = zipfile.ZipFile(path)
        except _BROKEN as error:
            raise BadInput(_("this ZIP cannot be read: %(why)s") % {"why": error}) from None
        entries = [one for one in self._zip.infolist() if not one.is_dir()]
        if len(entries) > MAX_FILES:
            self._zip.close()
            raise TooLarge(_("this ZIP has %(n)s entries") % {"n": len(entries)})
        if sum(one.file_size for one in entries) > config.IMPORT_BYTES:
            self._zip.close()
            raise TooLarge(_("this ZIP is too large when it is unpacked"))
        for one in entries:
            if _ratio(one) > MAX_RATIO and one.file_size > RATIO_FROM_BYTES:
                self._zip.close()
                raise TooLarge(_("this ZIP is packed so tightly that it may be a bomb"))
        self.entries = entries

    def __enter__(self) -> Unpacked:
        return self

    def __exit__(self, *_: object) -> None:
        self._zip.close()

    def content(self, entry: zipfile.ZipInfo) -> Iterator[bytes]:
        """Yield an entry's bytes, at most as many as it said that it has; raises BadInput."""
        left = entry.file_size
        try:
            with self._zip.open(entry) as file:
                while chunk := file.read(min(CHUNK_BYTES, left + 1)):
                    left -= len(chunk)
                    if left < 0:
                        raise BadInput(_("longer than the ZIP says"))
                    yield chunk
        except _BROKEN as error:
            if entry.flag_bits & 1:
                raise BadInput(_("encrypted")) from None
            raise BadInput(_("damaged: %(why)s") % {"why": error}) from None


def _ratio(entry: zipfile.ZipInfo) -> float:
    return entry.file_size / max(entry.compress_size, 1)
