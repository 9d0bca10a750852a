"""Merges the lists of several servers into one: k ways, each study once, nothing left out."""

from __future__ import annotations

import heapq
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from pacs_web.federation.dicom_json import Attributes
from pacs_web.federation.order import Place, place_of


@dataclass(frozen=True)
class Row:
    """One study of the merged list: what each server that holds it says, by its name."""

    place: Place
    copies: dict[str, Attributes]


@dataclass(frozen=True)
class Merged:
    """The first studies of all lists, and how many answers of each list went into them."""

    rows: list[Row]
    taken: dict[str, int]


def merge_lists(lists: Mapping[str, Sequence[Attributes]], size: int) -> Merged:
    """Return the first `size` studies of lists that are in order, each with all its copies.

    A list that was cut must hold more than `size` studies: then none is missed.
    """
    rows: dict[str, Row] = {}
    taken = dict.fromkeys(lists, 0)
    for _, name, answer in heapq.merge(*map(_keyed, lists.items()), key=lambda one: one[0]):
        place = place_of(answer)
        if place.uid not in rows:
            if len(rows) == size:
                break
            rows[place.uid] = Row(place, {})
        rows[place.uid].copies.setdefault(name, answer)
        taken[name] += 1
    order = {name: number for number, name in enumerate(lists)}
    for row in rows.values():  # copies of one place come in any order
        names = sorted(row.copies, key=order.__getitem__)
        row.copies.update((name, row.copies.pop(name)) for name in names)
    return Merged(list(rows.values()), taken)


def _keyed(
    one: tuple[str, Sequence[Attributes]],
) -> Iterator[tuple[tuple[object, ...], str, Attributes]]:
    name, answers = one
    return ((place_of(answer).key, name, answer) for answer in answers)
