"""What the node counts while it works; what can be looked up at any time is in `api/figures.py`.

Nothing here has a UID, a name or an address in a label. Counting is a store into memory, and cheap
enough to be done for each object.
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from typing import Any

from prometheus_client import Counter, Gauge, Histogram

C_STORE, STOW_RS, RECALL, RESTORE = "c-store", "stow-rs", "recall", "restore"  # doors in
C_GET, C_STORE_SCU = "c-get", "c-store"  # doors out; HTTP is counted by route
ACCEPTED, REJECTED, RELEASED, ABORTED = "accepted", "rejected", "released", "aborted"
BUCKETS_S = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60)
OPERATIONS = {
    0x0001: "C-STORE",
    0x0010: "C-GET",
    0x0020: "C-FIND",
    0x0021: "C-MOVE",
    0x0030: "C-ECHO",
    0x0130: "N-ACTION",
}

ASSOCIATIONS = Counter(
    "argens_node_associations_total", "Associations that peers asked for, by outcome.", ["outcome"]
)
OPEN = Gauge(
    "argens_node_associations_open",
    "Associations of peers that are open.",
    ["port"],
    multiprocess_mode="livesum",
)
DIMSE_SECONDS = Histogram(
    "argens_node_dimse_seconds",
    "Time from a request's command to its last answer, by operation.",
    ["operation"],
    buckets=BUCKETS_S,
)
RECEIVED = Counter(
    "argens_node_received_instances_total",
    "Instances that came in, by door and by what became of them.",
    ["door", "outcome"],
)
RECEIVED_BYTES = Counter(
    "argens_node_received_bytes_total", "Bytes of instances that came in and were kept.", ["door"]
)
SENT = Counter(
    "argens_node_sent_instances_total",
    "Instances that were sent by DIMSE, by door and outcome.",
    ["door", "outcome"],
)
SENT_BYTES = Counter("argens_node_sent_bytes_total", "Bytes of instances sent by DIMSE.", ["door"])
CACHE = Gauge(
    "argens_node_cache_bytes",
    "What the node keeps though it can be made again, at the last look, by folder.",
    ["cache"],
    multiprocess_mode="mostrecent",
)


def begin() -> None:
    """Tell as 0 what may come: an increase from nothing is none to Prometheus."""
    for outcome in (ACCEPTED, REJECTED, RELEASED, ABORTED):
        ASSOCIATIONS.labels(outcome)
    for door in (C_STORE, STOW_RS):
        for outcome in ("stored", "duplicate", "quarantined", "refused"):
            _in(door, outcome)


def received(door: str, outcome: str, size_bytes: int = 0) -> None:
    """Count an instance that came in: stored, duplicate, quarantined, or refused."""
    number, size = _in(door, outcome)
    number.inc()
    if size_bytes:
        size.inc(size_bytes)


def sent(door: str, *, is_taken: bool, size_bytes: int) -> None:
    """Count an instance that was sent, or could not be."""
    number, size = _out(door, "sent" if is_taken else "failed")
    number.inc()
    if is_taken:
        size.inc(size_bytes)


def association(outcome: str) -> None:
    """Count an association that was accepted or rejected, or how it ended."""
    ASSOCIATIONS.labels(outcome).inc()


@contextmanager
def open_association(port: str) -> Iterator[None]:
    """Count an association as open while the block runs."""
    number = OPEN.labels(port)
    number.inc()
    try:
        yield
    finally:
        number.dec()


def served(command_field: int, begun: float) -> None:
    """Count a DIMSE request that was served since `begun` (time.perf_counter)."""
    _operation(command_field).observe(time.perf_counter() - begun)


@cache
def _operation(command_field: int) -> Any:
    return DIMSE_SECONDS.labels(OPERATIONS.get(command_field, "other"))


@cache
def _in(door: str, outcome: str) -> tuple[Any, Any]:
    return RECEIVED.labels(door, outcome), RECEIVED_BYTES.labels(door)


@cache
def _out(door: str, outcome: str) -> tuple[Any, Any]:
    return SENT.labels(door, outcome), SENT_BYTES.labels(door)
