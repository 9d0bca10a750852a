"""When a study is copied, and what is evicted: pure functions of facts, policy and time."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta


@dataclass(frozen=True)
class Policy:
    """What the hospital decided."""

    quiet_s: float
    evict_after_days: float
    high_watermark: float
    low_watermark: float


@dataclass(frozen=True)
class Facts:
    """A study as its node last described it, and up to which revision it is proven here."""

    study_uid: str
    online: int
    online_bytes: int
    revision: int
    digests_ready: bool
    last_arrival_at: datetime
    quarantined: int = 0
    last_access_at: datetime | None = None
    recalled_at: datetime | None = None
    verified_revision: int | None = None

    @property
    def is_proven(self) -> bool:
        """True where every instance that the node has of it has a verified copy."""
        return self.verified_revision == self.revision

    @property
    def is_evictable(self) -> bool:
        """True where it is proven and more is online than what waits for a quarantine decision.

        A node keeps what waits: asking for that again and again would free nothing.
        """
        return self.is_proven and self.online > self.quarantined

    @property
    def last_used_at(self) -> datetime:
        """Return when somebody last sent it, read it or wanted it back."""
        moments = (self.last_arrival_at, self.last_access_at, self.recalled_at)
        return max(moment for moment in moments if moment is not None)


def decide(facts: Facts, policy: Policy, now: datetime) -> str | None:
    """Return "copy", "evict" (by age) or None for one study, whatever its node's disk."""
    if not facts.online:
        return None
    if not facts.is_proven:
        quiet = now - facts.last_arrival_at >= timedelta(seconds=policy.quiet_s)
        return "copy" if quiet and facts.digests_ready else None
    aged = policy.evict_after_days > 0 and now - facts.last_used_at >= timedelta(
        days=policy.evict_after_days
    )
    return "evict" if aged and facts.is_evictable else None


def excess_bytes(total_bytes: int, free_bytes: int, policy: Policy) -> int:
    """Return what must go for a disk above its high watermark to come under the low one.

    Both numbers are without the node's reserve: it is full where only that is free.
    """
    used = total_bytes - free_bytes
    if total_bytes <= 0 or used <= policy.high_watermark * total_bytes:
        return 0
    return max(0, used - int(policy.low_watermark * total_bytes))


def least_recently_used(candidates: Iterable[Facts], wanted_bytes: int) -> list[Facts]:
    """Return the proven studies, longest unused first, whose eviction frees `wanted_bytes`.

    Fewer where there are not enough: what is not proven is never chosen.
    """
    chosen: list[Facts] = []
    evictable = (facts for facts in candidates if facts.is_evictable and facts.online_bytes > 0)
    for facts in sorted(evictable, key=lambda facts: (facts.last_used_at, facts.study_uid)):
        if wanted_bytes <= 0:
            break
        chosen.append(facts)
        wanted_bytes -= facts.online_bytes
    return chosen
