"""Connections for which there is no place: a few may stay long enough to be told so."""

from __future__ import annotations

import threading
from collections import Counter

SEATS, SEATS_PER_ADDRESS = 64, 4  # in each SCP process


class Lobby:
    """Counts who waits without a place; an address that floods fills its own seats alone."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._waiting: Counter[str] = Counter()

    def enter(self, address: str) -> bool:
        """Take a seat for a connection from an address; False where there is none left."""
        with self._lock:
            is_full = self._waiting.total() >= SEATS
            if is_full or self._waiting[address] >= SEATS_PER_ADDRESS:
                return False
            self._waiting[address] += 1
            return True

    def leave(self, address: str) -> None:
        """Give a seat back."""
        with self._lock:
            self._waiting[address] -= 1
            self._waiting += Counter()  # forget whom nobody waits for
