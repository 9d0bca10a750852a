"""How long a job rests so that it moves no more bytes a second than it may."""

from __future__ import annotations

import time
from collections.abc import Callable

MOST_CREDIT_S = 1.0  # time in which nothing was moved is made up for no further than this


class Pace:
    """The pace of one job; `clock` tells seconds."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._due = clock()

    def rest_s(self, size_bytes: int, bytes_per_s: int) -> float:
        """Return how many seconds to rest now that `size_bytes` more have been moved."""
        now = self._clock()
        self._due = max(self._due, now - MOST_CREDIT_S) + size_bytes / bytes_per_s
        return max(0.0, self._due - now)
