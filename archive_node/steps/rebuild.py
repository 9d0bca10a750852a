"""Read the catalogue back from the volumes: what was lost of it is written there too."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime
from hashlib import sha256
from itertools import islice
from typing import Any

from django.conf import settings
from django.db import transaction
from django.utils import timezone

from archive_node.catalogue import held
from archive_node.models import CopiedInstance, Copy, KnownVault, Proof, StudyFacts
from archive_node.ruling.conditions import folded
from archive_node.steps import copies
from archive_node.steps.document import telling_records, written_at
from archive_node.vault import kinds, volume
from archive_node.vault.base import MediumFailed, MountedVolume, NeedsOperator, Thawing, VolumeState
from archive_node.vault.encryption import KeyMissing
from archive_node.vault.tar import Damaged
from archive_node.vault_setting import VaultSpec
from pacs_common import errors
from pacs_common.uids import Uid

BATCH = 100
_NAME = re.compile(r"(?P<node>[^/]+)/(?P<study>[^/]+)/r(?P<revision>\d+)-(?P<number>\d+)\.tar\Z")
_TEXTS = {
    "birth_date": 8, "study_date": 8, "description": 200, "department": 200,
}  # fmt: skip
_LISTS = ("modalities", "body_parts")
_NUMBERS = ("instances", "online", "size_bytes", "online_bytes", "recalls", "quarantined",
            "quarantine_files")  # fmt: skip
_FLAGS = ("digests_ready", "incomplete", "held")
_MOMENTS = ("last_arrival_at", "last_access_at")
Say = Callable[[str], None]
# what a manifest of another shape than ours raises while its rows are made
_NONSENSE = (LookupError, TypeError, ValueError, AttributeError)


@dataclass(frozen=True)
class Read:
    """One member as it was read back."""

    copy: Copy
    number: int
    placed: list[volume.Placed]
    facts: StudyFacts
    named: int  # which instances its manifest names, all in all


@dataclass
class Account:
    """What was read of a vault; `problems` are lines that a person must see."""

    volumes: int = 0
    members: int = 0
    added: int = 0
    proven: int = 0
    problems: list[str] = field(default_factory=list)


class Rebuilding:
    """Reads one vault of the settings back into the catalogue; may be done again."""

    def __init__(self, spec: VaultSpec, *, prove: bool, say: Say) -> None:
        self._spec = spec
        self._prove = prove
        self._say = say
        self._newest: dict[tuple[str, str], tuple[int, int, int]] = {}
        self.account = Account()

    def run(self) -> Account:
        """Adopt the vault, read each volume, and note which studies are proven by it.

        Raises VaultUnavailable where it is not there: none is made.
        """
        self._vault = kinds.opened(self._spec, settings.ARCHIVE.vault_defaults)
        self._adopt()
        for each in self._vault.volumes():
            if each.state == VolumeState.RETIRED:
                self._say(f"{self._spec.name}: volume {each.label} is retired, and not read")
            elif each.state == VolumeState.EXPORTED:
                self._trouble(f"volume {each.label} lies on the shelf, and was not read")
            else:
                self._read_volume(each.label)
        self._note_proofs()
        return self.account

    def _adopt(self) -> None:
        known = KnownVault.objects.filter(name=self._spec.name).first()
        if known is not None and known.library_id == self._vault.library_id:
            return
        KnownVault.objects.update_or_create(
            name=self._spec.name, defaults={"library_id": self._vault.library_id}
        )
        before = f", not {known.library_id} any more" if known else ""
        self._say(f"{self._spec.name} is now the library {self._vault.library_id}{before}")

    def _read_volume(self, label: str) -> None:
        try:
            with copies.warmed(self._spec.name, label, lambda: None) as mounted:
                members = iter(mounted.members())
                while names := list(islice(members, BATCH)):
                    found = [each for name in names if (each := self._read(mounted, label, name))]
                    self._keep(label, found)
        except (MediumFailed, NeedsOperator, Thawing, errors.NotFound) as error:
            self._trouble(f"{error}; what it holds was not read to its end")
        else:
            self.account.volumes += 1
        self._say(f"{self._spec.name}: volume {label}, {self.account.members} members so far")

    def _read(self, mounted: MountedVolume, label: str, name: str) -> Read | None:
        """Return a member as it is there, proven if that was asked for."""
        self.account.members += 1
        try:
            with mounted.open(name) as file:
                member = volume.opened(file, name, settings.ARCHIVE.keys)
                read = self._described(member, label, name, mounted.size_of(name) or 0)
                if self._prove:
                    mounted.settle(name)
                    _prove(member, read)
                return read
        except (Damaged, KeyMissing, errors.UnsafeUid) as error:
            self._trouble(f"{name} on {label} cannot be read: {error}")
        except _NONSENSE as error:
            self._trouble(f"{name} on {label} cannot be understood: {error!r}")
        return None

    def _described(self, member: volume.OpenMember, label: str, name: str, size_bytes: int) -> Read:
        about, said = member.manifest, _NAME.match(name)
        told = (about["node"], about["study_uid"], about["revision"])
        if said is None or told != (said["node"], said["study"], int(said["revision"])):
            raise Damaged("its manifest is of another study")
        placed = member.placed()
        copy = Copy(
            node=told[0],
            study_uid=Uid.parse(told[1], "Study Instance UID"),
            vault=self._spec.name,
            volume=label,
            member=name,
            revision=told[2],
            instances=len(placed),
            size_bytes=size_bytes,
            key_id=member.key_id,
            records=telling_records(about),
            written_at=written_at(about),
        )
        everything = [*about["instances"], *about.get("quarantine", [])]
        everything += [*about["elsewhere"], *about.get("lacking", [])]
        keys = {(each["sop_instance_uid"], each["stored_sha256"]) for each in everything}
        return Read(copy, int(said["number"]), placed, _facts(copy, about["study"]), _sum(keys))

    def _keep(self, label: str, found: list[Read]) -> None:
        """Make the rows of some members; those that have theirs already keep them."""
        with transaction.atomic():
            rows = Copy.objects.filter(
                vault=self._spec.name, volume=label, member__in=[each.copy.member for each in found]
            )
            known = {copy.member: copy for copy in rows}
            made = [each for each in found if each.copy.member not in known]
            Copy.objects.bulk_create([each.copy for each in made])
            CopiedInstance.objects.bulk_create(
                [copies.row(each.copy, placed) for each in made for placed in each.placed],
                batch_size=500,
            )
            for each in found:
                if each.copy.member in known:
                    _update(known[each.copy.member], each.copy)
            _keep_facts([each.facts for each in found])
        self.account.added += len(made)
        self.account.proven += sum(each.copy.verified_at is not None for each in found)
        self.account.problems += [
            f"{self._spec.name}: {each.copy.problem}" for each in found if each.copy.problem
        ]
        for each in found:
            study, mark = (each.copy.node, each.copy.study_uid), (each.copy.revision, each.number)
            if mark > self._newest.get(study, (-1, -1, 0))[:2]:
                self._newest[study] = (*mark, each.named)

    def _note_proofs(self) -> None:
        """Note the studies of which the newest member names just what proven copies hold here.

        Of any other, the next copy job asks the node.
        """
        if not self._prove:
            return
        for (node, study_uid), (revision, _, named) in self._newest.items():
            proven = held(node, study_uid, verified=True, vault=self._spec.name)
            if _sum(set(proven)) == named:
                Proof.objects.get_or_create(
                    node=node, study_uid=study_uid, vault=self._spec.name,
                    defaults={"revision": revision},
                )  # fmt: skip

    def _trouble(self, line: str) -> None:
        self.account.problems.append(f"{self._spec.name}: {line}")


def _prove(member: volume.OpenMember, read: Read) -> None:
    """Read a member whole; its copy is verified then, or bad."""
    copy = read.copy
    try:
        member.prove(read.placed, lambda each: None)
    except Damaged as error:
        copy.bad_since = timezone.now()
        copy.problem = f"the copy on {copy.volume} ({copy.member}) is bad: {error}"[:500]
    else:
        copy.verified_at = timezone.now()


def _update(known: Copy, read: Copy) -> None:
    """Keep what was proven just now of a copy whose row is there already."""
    if known.bad_since is None and (read.verified_at or read.bad_since):
        Copy.objects.filter(id=known.id).update(
            verified_at=read.verified_at, bad_since=read.bad_since, problem=read.problem
        )


def _keep_facts(found: list[StudyFacts]) -> None:
    """Keep the newest facts of each study; what a scan of its node saw stands above them."""
    newest: dict[tuple[str, str], StudyFacts] = {}
    for facts in found:
        key = (facts.node, facts.study_uid)
        if key not in newest or newest[key].revision <= facts.revision:
            newest[key] = facts
    rows = StudyFacts.objects.filter(study_uid__in={uid for _, uid in newest})
    known = {(row.node, row.study_uid): row for row in rows}
    for key, facts in newest.items():
        row = known.get(key)
        if row is not None and row.seen_at is None and row.revision <= facts.revision:
            facts.id = row.id
            facts.save()
    StudyFacts.objects.bulk_create([facts for key, facts in newest.items() if key not in known])


def _facts(copy: Copy, study: dict[str, Any]) -> StudyFacts:
    """Return a study's facts as a manifest tells them."""
    patient = study.get("patient_key") or {}
    told: dict[str, Any] = {name: (study.get(name) or "")[:most] for name, most in _TEXTS.items()}
    told |= {name: "\\".join(study.get(name) or [])[:200] for name in _LISTS}
    told |= {name: _count(study.get(name)) for name in _NUMBERS}
    told |= {name: bool(study.get(name)) for name in _FLAGS}
    told |= {name: _moment(study.get(name)) for name in _MOMENTS}
    return StudyFacts(
        node=copy.node,
        study_uid=copy.study_uid,
        patient_issuer=(patient.get("issuer") or "")[:200],
        patient_id=(patient.get("id") or "")[:200],
        revision=copy.revision,
        department_key=folded(told["department"]),
        description_key=folded(told["description"]),
        **told,
    )


def _count(told: Any) -> int:
    """Return a number that is told, or how many are told of."""
    return len(told) if isinstance(told, list) else int(told or 0)


def _moment(text: str | None) -> datetime | None:
    return datetime.fromisoformat(text) if text else None


def _sum(keys: set[tuple[str, str]]) -> int:
    """Return a number that two different sets of instances do not share."""
    digests = (sha256(f"{uid} {digest}".encode()).digest()[:16] for uid, digest in keys)
    return sum(int.from_bytes(each, "big") for each in digests) % 2**128
