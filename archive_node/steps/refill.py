"""Some lost studies, brought volume after volume, from every good copy that there is."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from datetime import datetime
from typing import IO, Any

from django.conf import settings

from archive_node.catalogue import Key
from archive_node.models import CopiedInstance, Copy, Hold
from archive_node.steps.account import Account, Progress
from archive_node.steps.awaited import Awaited, Waits
from archive_node.steps.finished import Finished
from archive_node.steps.reach import Reach
from archive_node.steps.reading import manifest_of, open_member, proven, readable, warmed
from archive_node.steps.receipts import receipt
from archive_node.steps.refilling import NOTHING, Lost, age_of
from archive_node.steps.suspicion import suspect
from archive_node.steps.thawing import ask
from archive_node.steps.whereabouts import Place, Readiness, Whereabouts
from archive_node.vault.base import (
    MediumFailed,
    MountedVolume,
    NeedsOperator,
    Thawing,
    wait_quietly,
)
from archive_node.vault.volume import OpenMember
from pacs_common import errors
from pacs_common.node_client import NodeClient

REFUSALS = (errors.NotFound, errors.Conflict, errors.BadInput)  # of one study or instance


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
        waits: Waits | None,
    ) -> None:
        self._client, self._account, self._progress = client, account, progress
        self._finished, self._waits = finished, waits
        self._studies = {study.study_uid: study for study in studies}
        self._told = dict.fromkeys(self._studies, NOTHING)  # up to which records
        self._reach = Reach()
        self._where = Whereabouts()
        self._why: dict[str, str] = {}
        self.awaited = Awaited()

    def run(self) -> Awaited:
        """Bring what can be brought, and account for it; return what the rest waits for."""
        while (place := self._next_place()) is not None:
            self._visit(place)
        for study in self._studies.values():
            if not self._note_waits(study):
                self._conclude(study)
        return self.awaited

    def _next_place(self) -> Place | None:
        where = self._where = Whereabouts()
        records: dict[Place, datetime] = {}
        for copy in self._untold():
            place = Place.of_copy(copy)
            records[place] = max(copy.written_at, records.get(place, copy.written_at))
        files = {Place.of(row) for row in self._lacking()}
        for place in {one for one in files | set(records) if where.readiness(one) is None}:
            self._reach.give_up(place, where.absence(place))
        return self._newest(where, records) or where.best(files - self._reach.aside)

    def _newest(self, where: Whereabouts, records: dict[Place, datetime]) -> Place | None:
        """Return the volume that was written last: what it tells lets older ones be read once."""
        ranked = [
            (max(where.readiness(place) or 0, Readiness.IN_LIBRARY), -at.timestamp(), place)
            for place, at in records.items()
            if place not in self._reach.aside
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
        return [copy for copy in newest if self._reach.is_left(copy)]

    def _is_to_wait(self, study: Lost) -> bool:
        """Whether a study's newest records will come, though not now: its files come after them."""
        if self._told[study.study_uid] >= study.newest_records or self._untold_of(study):
            return False
        newest = (copy for copy in study.records if age_of(copy) == study.newest_records)
        return any(map(self._reach.waits, newest))

    def _lacking(self) -> Iterator[CopiedInstance]:
        """Yield the copies that are left of what a node lacks, of studies whose turn it is."""
        for study in self._studies.values():
            if not self._untold_of(study) and not self._is_to_wait(study):
                for rows in study.copies.values():
                    yield from (row for row in rows if self._reach.is_left(row.copy))

    def _visit(self, place: Place) -> None:
        try:
            with warmed(place, wait_quietly) as mounted:
                self._bring_all(mounted, place)
        except MediumFailed as error:
            suspect(error)
            self._reach.give_up(place, str(error))
        except NeedsOperator:
            self._reach.shelve(place)
            if self._waits is not None:
                self._waits.ask(place)
        except (errors.PeerUnreachable, errors.DiskFull):
            raise
        except errors.ArgensError as error:  # it is gone since we looked
            self._reach.give_up(place, str(error))

    def _bring_all(self, mounted: MountedVolume, place: Place) -> None:
        rows: dict[int, list[CopiedInstance]] = {}
        copies = {copy.id: copy for copy in self._untold() if Place.of_copy(copy) == place}
        for study in self._studies.values():
            for row in (row for some in study.copies.values() for row in some):
                if Place.of(row) == place and self._reach.is_left(row.copy):
                    rows.setdefault(row.copy_id, []).append(row)
                    copies[row.copy_id] = row.copy
        needed = self._needed(place)
        ask(mounted, needed)
        if self._where.readiness(place) == Readiness.COLD:
            copies = {one.id: one for one in copies.values() if one.member in needed}
        order = {name: number for number, name in enumerate(mounted.members())}
        for copy in sorted(copies.values(), key=lambda one: order.get(one.member, len(order))):
            self._bring_member(mounted, place, copy, rows.get(copy.id, []))

    def _needed(self, place: Place) -> set[str]:
        """Return the members to be read on a volume, of studies whose turn comes later too.

        What a readier volume holds as well is left out: to thaw costs.
        """
        needed = {copy.member for copy in self._untold() if Place.of_copy(copy) == place}
        for study in self._studies.values():
            for rows in study.copies.values():
                left = [row for row in rows if self._reach.is_left(row.copy)]
                best = self._where.best(map(Place.of, left))
                needed |= {row.copy.member for row in left if place == best == Place.of(row)}
        return needed

    def _bring_member(
        self, mounted: MountedVolume, place: Place, copy: Copy, rows: list[CopiedInstance]
    ) -> None:
        study = self._studies[copy.study_uid]
        for newest in [one for one in self._untold_of(study) if one.id != copy.id]:
            if Place.of_copy(newest) == place:
                self._bring(mounted, newest, [])
        untold = self._untold_of(study)
        if copy in untold or not (untold or self._is_to_wait(study)):
            self._bring(mounted, copy, sorted(rows, key=lambda row: row.offset))
            self._reach.note_tried(copy)

    def _bring(self, mounted: MountedVolume, copy: Copy, rows: list[CopiedInstance]) -> None:
        """Tell the node the records of one member, then give it what it lacks of the files."""
        study = self._studies[copy.study_uid]
        is_told = self._told[study.study_uid] >= age_of(copy)
        if is_told and not any(_key(row) in study.copies for row in rows):
            return
        try:
            with open_member(mounted, copy.vault, copy.member) as file:
                if not is_told:
                    self._tell(study, copy, manifest_of(file, copy))
                member = readable(file, copy)
                for row in rows:
                    if _key(row) in study.copies:  # its manifest may have told that it is not
                        self._send(study, member, row)
        except Thawing as error:  # the store was asked: go on, so that all is asked for at once
            self._reach.thaw(copy, error.until)
        except REFUSALS as error:
            self._why[study.study_uid] = f"{copy.member} on {copy.volume}: {error}"

    def _tell(self, study: Lost, copy: Copy, manifest: dict[str, Any]) -> None:
        records = manifest.get("journal") or []
        uid = study.study_uid
        self._ask(self._client.restore_journal, uid, records, revision=study.revision)
        if age_of(copy) >= self._told[uid]:
            study.settle(manifest, copy.revision)
        self._told[uid] = max(self._told[uid], age_of(copy))

    def _send(self, study: Lost, member: OpenMember, row: CopiedInstance) -> None:
        home = settings.ARCHIVE.staging_dir / "restore"
        try:
            with proven(member, row, home) as spool:
                self._put(study, spool, row)
        except REFUSALS as error:  # Damaged too: another copy of it may be good
            self._why[study.study_uid] = f"{row.sop_instance_uid} on {row.copy.volume}: {error}"
        else:
            self._count(study, row)

    def _count(self, study: Lost, row: CopiedInstance) -> None:
        rows = study.copies.pop(_key(row))
        self._account.size_bytes += row.size_bytes
        if _key(row) in study.quarantine:
            self._account.quarantined += 1
        else:
            study.brought.append(rows)
            self._account.instances += 1
            self._account.stubs += not study.online
        self._progress(row.size_bytes)

    def _put(self, study: Lost, spool: IO[bytes], row: CopiedInstance) -> None:
        uid, put = row.sop_instance_uid, self._client.restore
        about = (study.study_uid, uid, spool, row.size_bytes, row.stored_sha256)
        held_back = study.quarantine.get(_key(row))
        if held_back is not None:
            why = {"reason": held_back.reason, "detail": held_back.detail}
            try:
                self._ask(self._client.restore_quarantined, *about, **why)
            except errors.DiskFull as error:  # it has no stub that could stay in its place
                raise errors.Conflict(str(error)) from error
            return
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

    def _note_waits(self, study: Lost) -> bool:
        """Return whether a study waits, having noted for what."""
        rows = [row for some in study.copies.values() for row in some]
        copies = [row.copy for row in rows]
        if self._is_to_wait(study):
            copies += [one for one in study.records if age_of(one) == study.newest_records]
        for copy in {copy.id: copy for copy in copies if self._reach.waits(copy)}.values():
            place = self._reach.place_of(copy)
            if place is None:
                self.awaited.add_thawing(study.study_uid, copy.id, self._reach.until(copy))
            else:
                self.awaited.add_volume(study.study_uid, place)
        return study.study_uid in self.awaited.studies

    def _conclude(self, study: Lost) -> None:
        uid = study.study_uid
        if study.copies:
            (sop_uid, _), rows = next(iter(study.copies.items()))
            why = self._why.get(uid) or self._reach.why(Place.of(rows[0]))
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
