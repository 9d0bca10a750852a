"""The goals of the benchmarks as a table, and how a finding stands to each.

A goal is beside a peer (so many times better, whichever way is better), beside the same program at
other work, or a limit, by itself or above a peer's value. A number that depends on the machine is
a goal only where nothing else can be.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from tests.benchmarks.measured import Measured

OURS = r"argens.*"
ORTHANC = r"orthanc.*"
SECONDS = {"s": 1.0, "ms": 1e-3}
FLAT, ADDED_MS, BESIDE_TAR, PAGE_MS = 1.5, 100.0, 0.8, 200.0
QUICK_VIEW_S, IDLE_MB, READY_S = 0.5, 150.0, 2.0


@dataclass(frozen=True)
class Verdict:
    """How one finding stands to a goal."""

    goal: Goal
    workload: str
    who: str
    figure: str
    """In words: "3.20 x orthanc", "42 ms"."""
    of_goal: float | None
    """How many times the goal: 1 is just met. None: there is nothing to compare with."""

    @property
    def is_met(self) -> bool:
        """Whether the goal is met; not, where nothing is known."""
        return self.of_goal is not None and self.of_goal >= 1


@dataclass(frozen=True, kw_only=True)
class Goal:
    """What is wanted of our programs at each workload that `workload`, a pattern, fits whole."""

    measure: str
    workload: str
    words: str
    """After "Argens:", as in a heading: "at least 3 x Orthanc with 1 and 4 associations"."""

    def check(self, found: Sequence[Measured]) -> list[Verdict]:
        """Return a verdict for each finding of ours that the goal is about."""
        return [
            self.verdict(one, [other for other in found if other.measure == one.measure])
            for one in found
            if one.measure == self.measure
            and re.fullmatch(OURS, one.who)
            and re.fullmatch(self.workload, one.workload)
        ]

    def verdict(self, one: Measured, found: Sequence[Measured]) -> Verdict:
        """Return how a finding that the goal is about stands to it."""
        raise NotImplementedError

    def _unknown(self, one: Measured, missing: str) -> Verdict:
        return Verdict(self, one.workload, one.who, f"not measured: {missing}", None)


@dataclass(frozen=True, kw_only=True)
class Beside(Goal):
    """At least `times` as good as the best of the peers that `theirs` fits, at the same work."""

    theirs: str
    times: float

    def verdict(self, one: Measured, found: Sequence[Measured]) -> Verdict:
        """Compare with the best of the peers."""
        peers = [
            other
            for other in found
            if re.fullmatch(self.theirs, other.who) and other.workload == one.workload
        ]
        if not peers:
            return self._unknown(one, self.theirs.replace(".*", ""))
        best = max(peers, key=lambda other: other.value if one.is_more_better else -other.value)
        ratio = advantage(one, best)
        figure = f"{ratio:.2f} x {best.who}"
        return Verdict(self, one.workload, one.who, figure, ratio / self.times)


@dataclass(frozen=True, kw_only=True)
class BesideItself(Goal):
    """At least `times` as good as the same program at other work.

    `other` is that work, as `re.sub` makes it of the goal's pattern.
    """

    other: str
    times: float

    def verdict(self, one: Measured, found: Sequence[Measured]) -> Verdict:
        """Compare with the same program's other finding."""
        workload = re.sub(self.workload, self.other, one.workload)
        for other in found:
            if (other.who, other.workload) == (one.who, workload):
                ratio = advantage(one, other)
                way = ratio if one.is_more_better else 1 / ratio
                figure = f"{way:.2f} x {told(other)} at: {workload}"
                return Verdict(self, one.workload, one.who, figure, ratio / self.times)
        return self._unknown(one, workload)


@dataclass(frozen=True, kw_only=True)
class Within(Goal):
    """No more than `limit` in `unit`, above the value of `theirs` where one is named."""

    limit: float
    unit: str
    theirs: str = ""

    def verdict(self, one: Measured, found: Sequence[Measured]) -> Verdict:
        """Compare with the limit."""
        limit = self.limit * SECONDS.get(self.unit, 1) / SECONDS.get(one.unit, 1)
        if not self.theirs:
            return Verdict(self, one.workload, one.who, told(one), limit / one.value)
        for other in found:
            if (other.who, other.workload) == (self.theirs, one.workload):
                added = one.value - other.value
                figure = f"{added:+.4g} {one.unit} beside {told(other)}"
                return Verdict(
                    self, one.workload, one.who, figure, (other.value + limit) / one.value
                )
        return self._unknown(one, self.theirs)


def advantage(one: Measured, other: Measured) -> float:
    """Return how many times better a value is than another at the same kind of work."""
    better, worse = (one, other) if one.is_more_better else (other, one)
    return better.value / worse.value


def told(one: Measured) -> str:
    """Return a value with its unit, to three digits or to the whole."""
    digits = f"{one.value:,.0f}" if abs(one.value) >= 100 else f"{one.value:.3g}"
    return f"{digits} {one.unit}"


GOALS: tuple[Goal, ...] = (
    Beside(
        measure="ingest",
        workload=r"\d+ CT of 512 KB, [14] associations?",
        words="at least 3 x Orthanc with 1 and 4 associations",
        theirs=ORTHANC,
        times=3,
    ),
    Beside(
        measure="ingest",
        workload=r"\d+ CT of 512 KB, 16 associations",
        words="at least 2 x Orthanc with 16 associations",
        theirs=ORTHANC,
        times=2,
    ),
    Beside(
        measure="ingest",
        workload=r"Fréjus day .*",
        words="at least 3 x Orthanc for a whole day",
        theirs=ORTHANC,
        times=3,
    ),
    Beside(
        measure="ingest",
        workload=r"(\d+ CT|Fréjus day) .*",
        words="at least as fast as storescp",
        theirs="storescp",
        times=1,
    ),
    Beside(
        measure="query",
        workload=r".* instances",
        words="faster than Orthanc, at the same door",
        theirs=ORTHANC,
        times=1,
    ),
    BesideItself(
        measure="query",
        workload=r"(.*), 1,000,000 instances, p95",
        words="95th percentile at 1,000,000 instances at most 1.5 x that at 10,000",
        other=r"\1, 10,000 instances, p95",
        times=1 / FLAT,
    ),
    Beside(
        measure="retrieve",
        workload=r".* clients?",
        words="at least 2 x Orthanc",
        theirs=ORTHANC,
        times=2,
    ),
    Beside(
        measure="metadata",
        workload=r".*",
        words="at least 5 x Orthanc",
        theirs=ORTHANC,
        times=5,
    ),
    Beside(
        measure="renditions",
        workload=r".*",
        words="at least 2 x Orthanc",
        theirs=ORTHANC,
        times=2,
    ),
    BesideItself(
        measure="renditions",
        workload=r"\.70 frames from raw, (.*), warm",
        words="warm .70 frames at the speed of stored ones (nine tenths of it)",
        other=r".70 frames as stored, \1, warm",
        times=0.9,
    ),
    Within(
        measure="first image",
        workload=r"quick view.*",
        words="quick view in less than 0.5 s",
        limit=QUICK_VIEW_S,
        unit="s",
    ),
    Beside(
        measure="first image",
        workload=r"OHIF.*",
        words="OHIF no slower than OHIF on Orthanc",
        theirs=r".*orthanc.*",
        times=1,
    ),
    Within(
        measure="federation",
        workload=r".*",
        words="the slowest node and at most 100 ms",
        limit=ADDED_MS,
        unit="ms",
        theirs="slowest node",
    ),
    Beside(
        measure="archive",
        workload=r"(copy|recall|scrub) .*",
        words="at least 0.8 x tar and sha256sum",
        theirs="tar",
        times=BESIDE_TAR,
    ),
    Within(
        measure="footprint",
        workload=r"memory at rest, empty",
        words="an idle node in 150 MB",
        limit=IDLE_MB,
        unit="MB",
    ),
    Within(
        measure="footprint",
        workload=r"start until ready, .*1,000,000.*",
        words="ready in less than 2 s with 1,000,000 instances",
        limit=READY_S,
        unit="s",
    ),
    Within(
        measure="pages",
        workload=r".*",
        words="every page of the portal in 200 ms",
        limit=PAGE_MS,
        unit="ms",
    ),
)


def verdicts(found: Iterable[Measured], goals: Sequence[Goal] = GOALS) -> list[Verdict]:
    """Return how all findings stand to all goals, in the goals' order."""
    everything = list(found)
    return [verdict for goal in goals for verdict in goal.check(everything)]


def times(measure: str, workload: str, peer: str) -> float | None:
    """Return how many times as good as a peer we want to be; None where nothing is wanted."""
    for goal in GOALS:
        if isinstance(goal, Beside) and goal.measure == measure:
            if re.fullmatch(goal.workload, workload) and re.fullmatch(goal.theirs, peer):
                return goal.times
    return None
