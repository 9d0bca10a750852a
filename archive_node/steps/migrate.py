"""Copy what is new of a study into the vault, in one member or, where it is large, in parts."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from django.conf import settings

from archive_node import library
from archive_node.catalogue import held
from archive_node.models import CopiedInstance, Copy
from archive_node.steps import copies
from archive_node.steps import manifest as manifests
from archive_node.steps.document import document, telling_records, written_at
from archive_node.steps.manifest import Instance, Manifest
from archive_node.steps.sources import Sources
from archive_node.steps.work import Work
from archive_node.vault import volume
from archive_node.vault.base import MemberExists, NeedsOperator, Thawing, TooLarge, Vault
from archive_node.vault.encryption import Key, KeyMissing, key_of
from archive_node.vault.member import Member
from archive_node.vault.tar import Damaged, entry_bytes
from pacs_common import errors
from pacs_common.sentences import say


def migrate(work: Work) -> None:
    """Write the files that no good copy in the job's vault holds, as new members.

    Those are the study's instances, and what of it lies in quarantine (custody rule 5).

    They come from the node, or where it has them no more, from a verified copy in any vault. Each
    member is noted as soon as it is whole: run again after a crash, it adopts a member that was
    written whole, and goes on with the next. What nobody has is left for `verify` to name. Raises
    Unavailable while digests are missing, TooLarge where no volume could hold an instance.
    """
    manifest = manifests.fetch(work)
    if not manifest.digests_ready:
        raise errors.Unavailable(say("node-digests-missing", node=work.node))
    copying = _Copying(work, library.vault(work.vault), manifest)
    copying.adopt()
    copying.check_sizes()
    work.expect(len(copying.wanted), sum(each.size_bytes for each in copying.wanted))
    copying.ask_for_what_is_cold()
    while copying.wanted:
        copying.write_part()
    while copying.has_more_to_tell():
        copying.write_records()


class _Copying:
    """One study on its way into one vault; `wanted` is what is still to be written."""

    def __init__(self, work: Work, vault: Vault, manifest: Manifest) -> None:
        self._work, self._vault, self._manifest = work, vault, manifest
        self._key = _key_of(work.vault)
        self._doubtful = library.doubtful(vault)
        self._held = held(
            work.node, work.study_uid, verified=False, vault=work.vault, but_on=self._doubtful
        )
        self._sources = Sources(work, manifest)
        self._number = 1
        self.wanted = [
            each
            for each in manifest.files
            if each.key not in self._held and self._sources.offer(each)
        ]

    def check_sizes(self) -> None:
        """Raise TooLarge, before a byte is fetched, where no volume could hold an instance."""
        for instance in self.wanted:
            self._vault.check_fits(entry_bytes(instance.size_bytes))

    def ask_for_what_is_cold(self) -> None:
        """Ask cold storage once for what all parts need of it."""
        self._sources.ask_for(self.wanted)

    def adopt(self) -> None:
        """Note the members of this revision that a killed worker wrote whole and noted not.

        One that holds anything else is left alone, and its number is passed over.
        """
        while (label := self._vault.find(self._name)) is not None:
            self._adopt_from(label)
            self._number += 1

    def write_part(self) -> None:
        """Write as many of the wanted instances as one member takes."""
        part, *made = self._part()
        brought = self._sources.gather(part, whole=self._vault.spools)
        if len(brought) < len(part):
            got = {each.key for each in brought}
            lost = {each.key for each in part if each.key not in got}
            self.wanted = [each for each in self.wanted if each.key not in lost]
            made = [*self._member(brought)]
        if brought:
            self._write(*made)
            self._sources.forget(brought)

    def write_records(self) -> None:
        """Write a member without instances."""
        self._write(*self._member([]))

    def _write(self, member: Member, about: dict[str, Any]) -> None:
        """Write one member and note it."""
        self._work.check()
        name = self._name
        try:
            label = self._vault.append(
                name,
                member.size_bytes,
                lambda file: member.write(file, self._sources.content),
                self._work.check,
            )
        except MemberExists:  # another worker's, who has lost this job: look at what it left
            self.adopt()
            return
        self._number += 1
        self._note(name, label, member.size_bytes, member.key_id, about, member.placed)

    def has_more_to_tell(self) -> bool:
        """Return whether the node's records tell of something that no member here holds yet.

        A correction, a rejection or a hold adds no instance: its revision is a member of records
        alone (custody rule 10).
        """
        good = Copy.objects.filter(
            node=self._work.node,
            study_uid=self._work.study_uid,
            vault=self._work.vault,
            bad_since=None,
        ).exclude(volume__in=self._doubtful)
        newest = good.order_by("-records").first()
        return newest is not None and newest.records < telling_records(self._manifest.raw)

    @property
    def _name(self) -> str:
        revision = f"r{self._manifest.revision}-{self._number}"
        return f"{self._work.node}/{self._work.study_uid}/{revision}.tar"

    def _part(self) -> tuple[list[Instance], Member, dict[str, Any]]:
        """Return what of the wanted is written next, as a member; raises TooLarge."""
        count = _fitting(self.wanted, self._most_bytes())
        while True:
            part = self.wanted[:count]
            member, about = self._member(part)
            try:
                self._vault.check_fits(member.size_bytes)
            except TooLarge:
                if count == 1:
                    raise
                count = count * 7 // 8  # the manifest took what was left
            else:
                return part, member, about

    def _most_bytes(self) -> int:
        most = settings.ARCHIVE.member_bytes
        capacities = [each.capacity_bytes for each in self._vault.volumes()]
        return min(most, max(capacities, default=most))

    def _member(self, brought: list[Instance]) -> tuple[Member, dict[str, Any]]:
        about = document(self._work, self._manifest, self._name, brought, self._held)
        return Member(about, [each.item for each in brought], self._key), about

    def _adopt_from(self, label: str) -> None:
        name = self._name
        if (
            label in self._doubtful
            or Copy.objects.filter(vault=self._work.vault, volume=label, member=name).exists()
        ):
            return  # it has its row: what it holds is known already
        try:
            with copies.warmed(self._work.vault, label, self._work.check) as mounted:
                with mounted.open(name) as file:
                    member = volume.opened(file, name, settings.ARCHIVE.keys)
                size_bytes = mounted.size_of(name) or 0
        except (Damaged, KeyMissing, NeedsOperator, Thawing):
            return
        placed = member.placed()
        there = {(each.sop_instance_uid, each.stored_sha256) for each in placed}
        if there <= {each.key for each in self.wanted} and bool(there) == bool(self.wanted):
            self._note(name, label, size_bytes, member.key_id, member.manifest, placed)

    def _note(
        self,
        name: str,
        label: str,
        size_bytes: int,
        key_id: str,
        about: dict[str, Any],
        placed: Sequence[volume.Placed],
    ) -> None:
        """Make a member part of the catalogue, unproven; what it holds is wanted no more."""
        copy = Copy(
            node=self._work.node,
            study_uid=self._work.study_uid,
            vault=self._work.vault,
            volume=label,
            member=name,
            revision=self._manifest.revision,
            instances=len(placed),
            size_bytes=size_bytes,
            key_id=key_id,
            records=telling_records(about),
            written_at=written_at(about),
        )
        rows = [copies.row(copy, each) for each in placed]
        with self._work.fenced():
            copy.save()
            CopiedInstance.objects.bulk_create(rows, batch_size=500)
        self._held |= {(row.sop_instance_uid, row.stored_sha256): row for row in rows}
        self.wanted = [each for each in self.wanted if each.key not in self._held]


def _key_of(vault: str) -> Key | None:
    key_id = library.specs()[vault].key_id
    return key_of(key_id, settings.ARCHIVE.keys) if key_id else None


def _fitting(wanted: list[Instance], most_bytes: int) -> int:
    """Return how many of the first ones stay below a size; at least one."""
    taken = 0
    for count, instance in enumerate(wanted):
        taken += entry_bytes(instance.size_bytes)
        if taken > most_bytes and count:
            return count
    return len(wanted)
