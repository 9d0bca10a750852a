"""Which exams a day holds: the paper's table at scale 1, whole small studies below.

| source | images | exams at scale 1                                                    |
|--------|--------|---------------------------------------------------------------------|
| CT     | 480    | 4 heads (32 + 16 slices), 3 chests (64 + 32 slices)                 |
| RF     | 70     | 1 swallow (12 + 10 + 8 images), 1 (12 + 12), 1 multi-frame of 16    |
| CR     | 215    | chests (1 image), hands (2 images), some of earlier dates           |
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date, datetime, time, timedelta

import numpy as np

from dicom_node.sampleday.identity import REFERRERS, SERVICES, Patient, patient, uid

HEADS, CHESTS, FILMS = 4, 3, 215
MAX_SCALE = 20.0
WHOLE_TABLE = 0.25  # from here on the fluoroscopy table does all its exams
FIRST_HOUR, MINUTES_OPEN = 8, 600


@dataclass(frozen=True)
class Exam:
    """One study to be made: who, what, when, and how many images each series has."""

    source: str
    kind: str
    number: int
    patient: Patient
    at: datetime
    seed: int
    charset: str
    implicit: bool
    series: tuple[int, ...]

    @property
    def study_uid(self) -> str:
        """Return the Study Instance UID."""
        return self.uid("study")

    @property
    def accession_number(self) -> str:
        """Return the Accession Number, 12 characters, unique for the hospital's day."""
        return f"{self.at:%y%m%d}{self.source}{self.number:04d}"

    @property
    def referrer(self) -> str:
        """Return who asked for the exam."""
        return REFERRERS[self.number % len(REFERRERS)]

    @property
    def service(self) -> str:
        """Return the department that asked."""
        return SERVICES[(self.number * 3 + len(self.kind)) % len(SERVICES)]

    @property
    def images(self) -> int:
        """Return how many files the exam has."""
        return sum(self.series) if self.kind != "swallow-multiframe" else 1

    def uid(self, *parts: object) -> str:
        """Return a UID within this exam."""
        return uid(self.seed, self.source, self.number, self.at.isoformat(), *parts)

    def rng(self, *parts: int) -> np.random.Generator:
        """Return the exam's own source of chance."""
        return np.random.default_rng([self.seed, ord(self.source[1]), self.number, *parts])


def exams(scale: float, seed: int, day: date) -> list[Exam]:
    """Return the day's exams: CT, then RF, then CR; never less than one whole study of each."""
    ct = list(_ct(scale))
    rf = list(_rf(scale, len(ct)))
    people = len(ct) + 3 * len(rf)
    planned = [*ct, *rf, *_cr(scale, len(ct), people)]
    return list(_dated(planned, seed, day))


@dataclass(frozen=True)
class _Planned:
    source: str
    kind: str
    person: int
    days_ago: int
    series: tuple[int, ...]


def _share(scale: float) -> tuple[float, float]:
    """Split a scale into (studies, slices of each): small days have fewer studies first."""
    slices = min(1.0, 2 * scale**0.5)
    return scale / slices, slices


def _many(full: int, share: float, least: int) -> int:
    return max(least, round(full * share))


def _ct(scale: float) -> Iterator[_Planned]:
    studies, slices = _share(scale)
    heads, chests = _many(HEADS, studies, 1), _many(CHESTS, studies, 1)
    for number in range(heads):
        yield _Planned("CT", "head", number, 0, (_many(32, slices, 4), _many(16, slices, 2)))
    for number in range(chests):
        series = (_many(64, slices, 4), _many(32, slices, 2))
        yield _Planned("CT", "chest", heads + number, 0, series)


def _rf(scale: float, first: int) -> Iterator[_Planned]:
    studies, slices = _share(scale)
    images = min(1.0, 1.6 * slices)
    for number in range(_many(1, studies, 1)):
        person = first + 3 * number
        rows = tuple(_many(full, images, 4) for full in (12, 10, 8))
        yield _Planned("RF", "swallow", person, 0, rows if scale >= WHOLE_TABLE else rows[:1])
        yield _Planned("RF", "swallow-multiframe", person + 1, 0, (_many(16, images, 6),))
        if scale >= WHOLE_TABLE:
            yield _Planned("RF", "swallow", person + 2, 0, (12, 12))


def _cr(scale: float, ct_people: int, first: int) -> Iterator[_Planned]:
    """Chests and hands in turn; the first chests are priors of the CT's patients."""
    left = _many(FILMS, scale, 3)
    cycle = (("chest-film", 1), ("right-hand", 2), ("chest-film", 1), ("both-hands", 2))
    number = 0
    while left > 0:
        kind, images = cycle[number % len(cycle)]
        if images > left:
            kind, images = "chest-film", 1
        prior = number < ct_people and kind == "chest-film"
        person = ct_people - 1 - number if prior else first + number
        yield _Planned("CR", kind, person, 180 + 31 * number if prior else 0, (images,))
        left -= images
        number += 1


def _dated(planned: list[_Planned], seed: int, day: date) -> Iterator[Exam]:
    number = {"CT": 0, "RF": 0, "CR": 0}
    total = {source: sum(p.source == source for p in planned) for source in number}
    for one in planned:
        number[one.source] += 1
        minute = MINUTES_OPEN * (number[one.source] - 1) // total[one.source]
        opening = datetime.combine(day - timedelta(days=one.days_ago), time(FIRST_HOUR))
        yield Exam(
            source=one.source,
            kind=one.kind,
            number=number[one.source],
            patient=patient(one.person, seed),
            at=opening + timedelta(minutes=minute + 7),
            seed=seed,
            charset="ISO_IR 192" if one.person % 3 == 2 else "ISO_IR 100",
            implicit=number[one.source] % 5 == 4 or one.kind == "swallow-multiframe",
            series=one.series,
        )
