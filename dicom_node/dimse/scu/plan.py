"""What a retrieve or a sending consists of: its instances in order, and the contexts for them.

Only database ids are held for all instances; their rows are fetched in batches.
"""

from __future__ import annotations

from array import array
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field

from django.db.models import QuerySet

from dicom_node.dimse.association.associate import Proposal
from dicom_node.dimse.scu.encoding import candidates
from dicom_node.dimse.scu.outgoing import Item
from dicom_node.models import Instance, Study
from dicom_node.store.layout import Layout
from pacs_common.availability import Availability

BATCH_ROWS = 500
MAX_CONTEXTS = 128  # PS3.8 9.3.2.2: odd context ids from 1 to 255
Pairs = Iterable[tuple[str, str]]
_COLUMNS = (
    "id", "sop_class", "uid", "transfer_syntax", "hour", "size_bytes", "received_sha256",
    "stored_sha256", "availability", "damaged", "series__study__uid", "series__study__overlay",
)  # fmt: skip


@dataclass
class Plan:
    """The instances of one retrieve, as they are at its beginning."""

    layout: Layout
    ids: array[int]
    pairs: set[tuple[str, str]]
    studies: dict[int, str]
    away_studies: set[str] = field(default_factory=set)

    @classmethod
    def of(cls, found: QuerySet[Instance], layout: Layout) -> Plan:
        """Return the plan for the instances that a query names, in its order."""
        plain = found.order_by()
        away = plain.exclude(availability=Availability.ONLINE)
        study_ids = plain.values_list("series__study_id", flat=True).distinct()
        return cls(
            layout=layout,
            ids=array("q", found.values_list("id", flat=True).iterator(chunk_size=10_000)),
            pairs=set(plain.values_list("sop_class", "transfer_syntax").distinct()),
            studies=dict(Study.objects.filter(id__in=study_ids).values_list("id", "uid")),
            away_studies=set(away.values_list("series__study__uid", flat=True).distinct()),
        )

    def __len__(self) -> int:
        return len(self.ids)

    def items(self, ids: array[int] | None = None) -> Iterator[Item]:
        """Yield the instances (those of `ids`, where given) as they are when their turn comes."""
        ids = self.ids if ids is None else ids
        for first in range(0, len(ids), BATCH_ROWS):
            batch = ids[first : first + BATCH_ROWS]
            rows = Instance.objects.filter(id__in=batch).values_list(*_COLUMNS)
            by_id = {row[0]: row for row in rows}
            yield from (self._item(by_id[number]) for number in batch if number in by_id)

    def online(self, ids: Iterable[int]) -> array[int]:
        """Return which of these ids are on the node's disk now."""
        asked, found = list(ids), array("q")
        for first in range(0, len(asked), BATCH_ROWS):
            batch = Instance.objects.filter(id__in=asked[first : first + BATCH_ROWS])
            here = batch.filter(availability=Availability.ONLINE)
            found.extend(here.values_list("id", flat=True))
        return found

    def _item(self, row: tuple) -> Item:
        number, sop_class, uid, syntax, hour, size, received, stored, availability, *rest = row
        return Item(
            sop_class=sop_class,
            uid=uid,
            transfer_syntax=syntax,
            path=self.layout.object(hour, uid),
            row_id=number,
            size_bytes=size,
            received_sha256=received,
            stored_sha256=stored,
            is_online=availability == Availability.ONLINE,
            is_damaged=rest[0],
            study_uid=rest[1],
            overlay=rest[2],
        )


def groups(pairs: Pairs) -> list[list[Proposal]]:
    """Return what each association proposes: one context for each class and syntax.

    A class has its stored syntaxes, then what they may be turned into without loss, then
    uncompressed; its contexts are never split over two associations.
    """
    syntaxes: dict[str, set[str]] = {}
    for sop_class, syntax in pairs:
        syntaxes.setdefault(sop_class, set()).add(syntax)
    found: list[list[Proposal]] = []
    for sop_class in sorted(syntaxes):
        held = sorted(syntaxes[sop_class])
        turned = [syntax for one in held for syntax in candidates(one)]
        contexts = [Proposal(sop_class, (one,)) for one in dict.fromkeys([*held, *turned])]
        if not found or len(found[-1]) + len(contexts) > MAX_CONTEXTS:
            found.append([])
        found[-1] += contexts
    return found


def fitting(items: Iterable[Item], proposals: Iterable[Proposal]) -> Iterator[Item]:
    """Yield those items for whose class an association was proposed."""
    classes = {proposal.sop_class for proposal in proposals}
    return (item for item in items if item.sop_class in classes)
