"""Wrong passphrases lock an address out for a while, over all processes of the node.

By address and not for all: else anybody could keep a physician out in an emergency. What guards
against guessing from everywhere is the passphrase itself.
"""

from __future__ import annotations

import json
import time
from collections.abc import Callable

from dicom_node.sealed.account import MODE
from dicom_node.store.blobs import locked
from dicom_node.store.layout import Layout
from pacs_common import kept_files

MOST_ADDRESSES = 1000
Failures = dict[str, tuple[int, float]]  # how many, and when the last one was


class Lockout:
    """Counts what was typed wrong, in `<data>/rescue/failures.json`."""

    def __init__(
        self, layout: Layout, most: int, lock_s: float, clock: Callable[[], float] = time.time
    ) -> None:
        self._layout, self._most, self._lock_s, self._clock = layout, most, lock_s, clock

    def left_s(self, address: str) -> int:
        """Return for how long an address is locked out, 0 where it is not."""
        count, last = self._read().get(address, (0, 0.0))
        left = last + self._lock_s - self._clock()
        return max(1, round(left)) if count >= self._most and left > 0 else 0

    def fail(self, address: str) -> None:
        """Count a failure."""
        with locked(self._layout.rescue, exclusive=True):
            known = self._read()
            count, last = known.get(address, (0, 0.0))
            is_old = last + self._lock_s <= self._clock()
            known[address] = (1 if is_old else count + 1, self._clock())
            self._write(known)

    def forget(self, address: str) -> None:
        """Begin anew with an address that was right."""
        with locked(self._layout.rescue, exclusive=True):
            known = self._read()
            if known.pop(address, None):
                self._write(known)

    def _read(self) -> Failures:
        try:
            told = json.loads(self._layout.rescue_failures.read_bytes())
            return {str(one): (int(count), float(at)) for one, (count, at) in told.items()}
        except (OSError, ValueError, TypeError, AttributeError):
            return {}

    def _write(self, known: Failures) -> None:
        latest = sorted(known.items(), key=lambda one: one[1][1])[-MOST_ADDRESSES:]
        kept_files.replace(self._layout.rescue_failures, json.dumps(dict(latest)).encode(), MODE)
