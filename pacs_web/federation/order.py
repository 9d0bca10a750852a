"""The one order of exams, which our nodes keep too: so lists can be merged and resumed."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any, NamedTuple

from pacs_web.federation.dicom_json import Attributes, text


class Place(NamedTuple):
    """A place in the order: by study date, newest first and none last, then by UID as text."""

    date: str
    uid: str

    @property
    def key(self) -> tuple[Any, ...]:
        """Return what sorts places."""
        backwards = (*(-ord(letter) for letter in self.date), 1)  # what is longer comes first
        return backwards, self.uid

    def __str__(self) -> str:
        return f"{self.date},{self.uid}"


def place_of(answer: Attributes) -> Place:
    """Return the place of a study that a server answered."""
    return Place(text(answer, "StudyDate"), text(answer, "StudyInstanceUID"))


def in_order(answers: Iterable[Attributes]) -> list[Attributes]:
    """Return the studies of a server that keeps no order, each once, in the order."""
    by_uid = {text(one, "StudyInstanceUID"): one for one in answers}
    return sorted(by_uid.values(), key=lambda one: place_of(one).key)


def kept_in_order(answers: Iterable[Attributes], after: Place | None) -> Iterator[Attributes]:
    """Yield the studies of a server that keeps the order; ValueError where it does not.

    A list that is out of order cannot be merged without losing exams or telling them twice.
    """
    before = after
    for one in answers:
        place = place_of(one)
        if before is not None and place.key <= before.key:
            raise ValueError("its exams are not in the order in which pages are read")
        before = place
        yield one
