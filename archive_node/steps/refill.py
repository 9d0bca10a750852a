"""Some lost studies, brought volume after volume, from every good copy that there is."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import datetime
from typing import IO, Any

from django.conf import settings

from archive_node.catalogue import Key
from archive_node.models import CopiedInstance, Copy, Hold
from archive_node.steps.finished import Finished
from archive_node.steps.reading import manifest_of, open_member, proven, readable, warmed
from archive_node.steps.receipts import receipt
from archive_node.steps.refilling import NOTHING, Lost, age_of
from archive_node.steps.suspicion import suspect
from archive_node.steps.whereabouts import Place, Readiness, Whereabouts
from archive_node.vault.base import MediumFailed, MountedVolume, Thawing, wait_quietly
from archive_node.vault.volume import OpenMember
from pacs_common import errors
from pacs_common.node_client import NodeClient

Progress = Callable[[int], None]  # is told the bytes that were brought
REFUSALS = (errors.NotFound, errors.Conflict, errors.BadInput)  # of one study or instance


@dataclass
class Account:
    """What was done: counted, with why each of the others could not be brought."""

    whole_before: int = 0
    studies: int = 0
    instances: int = 0
    size_bytes: int = 0
    stubs: int = 0
    problems: dict[str, str] = field(default_factory=dict)

    @property
    def is_complete(self) -> bool:
        """Whether nothing is missing."""
        return not self.problems


class Refill:
    """Brings what `studies` lack, each member once, in the order of the tape.

    A study's newest records come before its first file, wherever they lie: nobody shall see it
    under a name that was corrected long ago.
    """

    def __init__(
        self,
        client: NodeClient,
        studies: list[Lost],
        account: Account,
        progress: Progress,
        finished: Finished,
    ) -> None:
        self._client, self._account, self._progress = client, account, progress
        self._finished = finished
        self._studies = {study.study_uid: study for study in studies}
        self._told = dict.fromkeys(self._studies, NOTHING)  # up to which records
        self._over: dict[Place, str] = {}
        self._tried: set[int] = set()  # copies
        self._why: dict[str, str] = {}

    def run(self) -> None:
        """Bring what can be brought, and account for all."""
        while (place := self._next_place()) is not None:
            self._visit(place)
        for study in self._studies.values():
            self._conclude(study)

    def _next_place(self) -> Place | None:
        where = Whereabouts()
        records: dict[Place, datetime] = {}
        for copy in self._untold():
            place = Place.of_copy(copy)
            records[place] = max(copy.written_at, records.get(place, copy.written_at))
        files = {Place.of(row) for row in self._lacking()}
        for place in {one for one in files | set(records) if where.readiness(one) is None}:
            self._over[place] = where.absence(place)
        return self._newest(where, records) or where.best(files - set(self._over))

    def _newest(self, where: Whereabouts, records: dict[Place, datetime]) -> Place | None:
        """Return the volume that was written last: what it tells lets older ones be read once."""
        ranked = [
            (max(where.readiness(place) or 0, Readiness.IN_LIBRARY), -at.timestamp(), place)
            for place, at in records.items()
            if place not in self._over
        ]
        return min(ranked)[2] if ranked else None

    def _untold(self) -> Iterator[Copy]:
        """Yield the members with the newest records of studies that their node does not have."""
        for study in self._studies.values():
            yield from self._untold_of(study)

    def _untold_of(self, study: Lost) -> list[Copy]:
        if self._told[study.study_uid] >= study.newest_records:
            return []
        newest = (copy for copy in study.records if age_of(copy) == study.newest_records)
        return [copy for copy in newest if self._is_left(copy)]

    def _lacking(self) -> Iterator[CopiedInstance]:
        """Yield the copies that are left of what a node lacks, of studies whose turn it is."""
        for study in self._studies.values():
            if not self._untold_of(study):
                for rows in study.copies.values():
                    yield from (row for row in rows if self._is_left(row.copy))

    def _is_left(self, copy: Copy) -> bool:
        return copy.id not in self._tried and Place.of_copy(copy) not in self._over

    def _visit(self, place: Place) -> None:
        try:
            with warmed(place, wait_quietly) as mounted:
                self._bring_all(mounted, place)
        except MediumFailed as error:
            suspect(error)
            self._over[place] = str(error)
        except (errors.PeerUnreachable, errors.DiskFull):
            raise
        except errors.ArgensError as error:  # it lies on the shelf, or is gone since we looked
            self._over[place] = str(error)

    def _bring_all(self, mounted: MountedVolume, place: Place) -> None:
        order = {name: number for number, name in enumerate(mounted.members())}
        rows: dict[int, list[CopiedInstance]] = {}
        copies = {copy.id: copy for copy in self._untold() if Place.of_copy(copy) == place}
        for study in self._studies.values():
            for row in (row for some in study.copies.values() for row in some):
                if Place.of(row) == place and row.copy_id not in self._tried:
                    rows.setdefault(row.copy_id, []).append(row)
                    copies[row.copy_id] = row.copy
        for copy in sorted(copies.values(), key=lambda one: order.get(one.member, len(order))):
            study = self._studies[copy.study_uid]
            for newest in [one for one in self._untold_of(study) if one.id != copy.id]:
                if Place.of_copy(newest) == place:
                    self._bring(mounted, newest, [])
            if copy in (untold := self._untold_of(study)) or not untold:
                some = sorted(rows.get(copy.id, []), key=lambda row: row.offset)
                self._bring(mounted, copy, some)
                self._tried.add(copy.id)

    def _bring(self, mounted: MountedVolume, copy: Copy, rows: list[CopiedInstance]) -> None:
        """Tell the node the records of one member, then give it what it lacks of the files."""
        study = self._studies[copy.study_uid]
        lacking = [row for row in rows if _key(row) in study.copies]
        is_told = self._told[study.study_uid] >= age_of(copy)
        if not lacking and is_told:
            return
        try:
            with open_member(mounted, copy.vault, copy.member) as file:
                if not is_told:
                    self._tell(study, copy, manifest_of(file, copy))
                member = readable(file, copy)
                for row in lacking:
                    self._send(study, member, row)
        except Thawing as error:  # the store was asked: go on, so that all is asked for at once
            self._why[study.study_uid] = str(error)
        except REFUSALS as error:
            self._why[study.study_uid] = f"{copy.member} on {copy.volume}: {error}"

    def _tell(self, study: Lost, copy: Copy, manifest: dict[str, Any]) -> None:
        records = manifest.get("journal") or []
        uid = study.study_uid
        self._ask(self._client.restore_journal, uid, records, revision=study.revision)
        self._told[uid] = max(self._told[uid], age_of(copy))

    def _send(self, study: Lost, member: OpenMember, row: CopiedInstance) -> None:
        home = settings.ARCHIVE.staging_dir / "restore"
        try:
            with proven(member, row, home) as spool:
                self._put(study, spool, row)
        except REFUSALS as error:  # Damaged too: another copy of it may be good
            self._why[study.study_uid] = f"{row.sop_instance_uid} on {row.copy.volume}: {error}"
        else:
            study.brought.append(study.copies.pop(_key(row)))
            self._account.instances += 1
            self._account.size_bytes += row.size_bytes
            self._account.stubs += not study.online
            self._progress(row.size_bytes)

    def _put(self, study: Lost, spool: IO[bytes], row: CopiedInstance) -> None:
        uid, put = row.sop_instance_uid, self._client.restore
        about = (study.study_uid, uid, spool, row.size_bytes, row.stored_sha256)
        if study.online:
            try:
                self._ask(put, *about)
                return
            except errors.DiskFull:  # which holds no more files: the rest as if it were evicted
                study.online = False
                spool.seek(0)
        self._ask(put, *about, copies=receipt(study.copies[_key(row)])["copies"])

    def _ask(self, call: Callable[..., Any], *args: Any, **named: Any) -> None:
        """Ask the node; where it neither does it nor refuses, raises PeerUnreachable."""
        try:
            call(*args, **named)
        except (*REFUSALS, errors.DiskFull):
            raise
        except errors.ArgensError as error:
            raise errors.PeerUnreachable(f"{self._client.name}: {error}") from error

    def _conclude(self, study: Lost) -> None:
        uid = study.study_uid
        if study.copies:
            (sop_uid, _), rows = next(iter(study.copies.items()))
            why = self._why.get(uid) or self._over.get(Place.of(rows[0]), "not read")
            self._account.problems[uid] = f"{len(study.copies)} instances, first {sop_uid}: {why}"
            return
        self._account.studies += 1
        if self._told[uid] < study.newest_records:
            self._account.problems[uid] = f"its newest records: {self._why.get(uid, 'not read')}"
            return
        try:
            self._tell_what_is_younger(study)
        except REFUSALS as error:
            self._account.problems[uid] = f"its holds and copies: {error}"
        else:
            self._finished.add(uid)

    def _tell_what_is_younger(self, study: Lost) -> None:
        """Tell the node what no member can hold yet: its holds in force, its verified copies."""
        holds = Hold.objects.filter(
            node=self._client.name, study_uid=study.study_uid, released_at=None
        )
        told = [{"kind": h.kind, "reason": h.reason, "by": h.held_by} for h in holds]
        if told:
            self._ask(self._client.set_holds, study.study_uid, told)
        copies = [receipt(rows) for rows in study.brought]
        if copies and study.online:
            body = {"study_uid": study.study_uid, "instances": copies}
            self._ask(self._client.receipts, body)


def _key(row: CopiedInstance) -> Key:
    return (row.sop_instance_uid, row.stored_sha256)
