"""How other roles answer to what this one asks: how fast, whether at all, and by which clock."""

from __future__ import annotations

import time
from email.utils import parsedate_to_datetime
from functools import cache
from typing import Any

from prometheus_client import Counter, Gauge, Histogram

from pacs_common.measures.served import BUCKETS_S

TIMEOUT, UNREACHABLE = "timeout", "unreachable"
SECONDS = Histogram(
    "argens_peer_request_seconds",
    "Time until a server began to answer.",
    ["peer"],
    buckets=BUCKETS_S,
)
FAILURES = Counter(
    "argens_peer_failures_total", "Requests that a server did not answer.", ["peer", "why"]
)
SKEW = Gauge(
    "argens_peer_clock_skew_seconds",
    "By how much a server's clock is ahead of ours (its answers tell whole seconds).",
    ["peer"],
    multiprocess_mode="mostrecent",
)


def answered(peer: str, begun: float, date: str | None) -> None:
    """Note an answer to what was asked at `begun` (time.perf_counter), with its Date header."""
    took_s = time.perf_counter() - begun
    seconds, skew = _of(peer)
    seconds.observe(took_s)
    ahead = skew_s(date, took_s)
    if ahead is not None:
        skew.set(ahead)


def failed(peer: str, *, in_time: bool) -> None:
    """Note that a server did not answer: not in time, or not at all."""
    FAILURES.labels(peer, UNREACHABLE if in_time else TIMEOUT).inc()


def skew_s(date: str | None, took_s: float, now: float | None = None) -> float | None:
    """Return how far a clock is ahead that told `date` in an answer that took `took_s` seconds.

    None where it tells nothing; 0 where the difference is within what whole seconds can tell.
    """
    try:
        told = parsedate_to_datetime(date or "").timestamp()
    except (ValueError, OverflowError):
        return None
    ahead = told + 0.5 - ((time.time() if now is None else now) - took_s / 2)
    return 0.0 if abs(ahead) <= 1.0 + took_s / 2 else round(ahead, 1)


@cache
def _of(peer: str) -> tuple[Any, Any]:
    for why in (TIMEOUT, UNREACHABLE):  # told as 0 from the first answer on
        FAILURES.labels(peer, why)
    return SECONDS.labels(peer), SKEW.labels(peer)
