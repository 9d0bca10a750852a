"""Copy what is new of a study into a member of the vault."""

from __future__ import annotations

from typing import Any

from archive_node import library
from archive_node.catalogue import held
from archive_node.models import CopiedInstance, Copy
from archive_node.steps import manifest as manifests
from archive_node.steps import staging
from archive_node.steps.manifest import Instance, Manifest
from archive_node.steps.work import Work
from archive_node.vault import volume
from archive_node.vault.base import MemberExists, Vault
from pacs_common import errors

_CORRECTIONS = {"corrected", "correction-undone"}  # kinds of the node's records
_STUDY_FACTS = ("patient_key", "modalities", "study_date", "description")


def migrate(work: Work) -> None:
    """Write the instances that no good copy in the job's vault holds as one new member.

    Run again after a crash, it adopts the member that was written whole and removes what was not.
    What is neither here nor on the node is left for `verify` to name. Raises Unavailable while
    digests are missing, TooLarge where no volume could hold it.
    """
    vault = library.vault(work.vault)
    manifest = manifests.fetch(work)
    if not manifest.digests_ready:
        raise errors.Unavailable(f"{work.node} has not computed all digests of the study yet")
    already = held(work.node, work.study_uid, verified=False, vault=vault.name)
    wanted = [
        instance
        for instance in manifest.instances
        if instance.key not in already and instance.availability == "ONLINE"
    ]
    if not wanted and not _tells_of_a_correction(work, manifest):
        return
    elsewhere = [
        {
            "sop_instance_uid": row.sop_instance_uid,
            "stored_sha256": row.stored_sha256,
            "volume": row.copy.volume,
            "member": row.copy.member,
            "revision": row.copy.revision,
        }
        for row in already.values()
    ]
    member = volume.Member(
        _document(work, manifest, wanted, elsewhere), [instance.item for instance in wanted]
    )
    vault.check_fits(member.size_bytes)
    name, label = _written(work, vault, manifest, member, wanted)
    _note_copy(work, vault, manifest.revision, name, label)


def _tells_of_a_correction(work: Work, manifest: Manifest) -> bool:
    """Whether the node's records tell of a correction that no member here may hold yet.

    It adds no instance: its revision is a member of records alone (custody rule 10).
    """
    good = Copy.objects.filter(
        node=work.node, study_uid=work.study_uid, vault=work.vault, bad_since=None
    )
    newest = good.order_by("-revision").first()
    kinds = {str(record.get("kind")) for record in manifest.raw.get("journal", [])}
    return newest is not None and newest.revision < manifest.revision and bool(kinds & _CORRECTIONS)


def _document(
    work: Work, manifest: Manifest, wanted: list[Instance], elsewhere: list[dict[str, Any]]
) -> dict[str, Any]:
    keys = {instance.sop_instance_uid for instance in wanted}
    return {
        "format": volume.FORMAT,
        "node": work.node,
        "study_uid": work.study_uid,
        "study": {name: manifest.raw.get(name) for name in _STUDY_FACTS},
        "revision": manifest.revision,
        "instances": [
            {**entry, "path": volume.instance_path(entry["sop_instance_uid"])}
            for entry in manifest.raw["instances"]
            if entry["sop_instance_uid"] in keys
        ],
        "elsewhere": elsewhere,
        "journal": manifest.raw.get("journal", []),
    }


def _written(
    work: Work, vault: Vault, manifest: Manifest, member: volume.Member, wanted: list[Instance]
) -> tuple[str, str]:
    """Return the name and volume of a member that holds exactly `wanted`, written if need be."""
    number = 1
    while True:
        name = f"{work.node}/{work.study_uid}/r{manifest.revision}-{number}.tar"
        label = vault.find(name)
        if label is None:
            try:
                return name, _append(work, vault, name, member, wanted)
            except MemberExists:
                continue  # another worker's, who has lost this job: look at what it left
        if _adoptable(work, vault, label, name, wanted):
            return name, label
        number += 1


def _append(
    work: Work, vault: Vault, name: str, member: volume.Member, wanted: list[Instance]
) -> str:
    work.expect(len(wanted), sum(instance.size_bytes for instance in wanted))
    staged = staging.stage(work, wanted)
    work.check()
    return vault.append(
        name,
        member.size_bytes,
        lambda file: member.write(file, lambda item: staged[item.sop_instance_uid].open("rb")),
        work.check,
    )


def _adoptable(work: Work, vault: Vault, label: str, name: str, wanted: list[Instance]) -> bool:
    if Copy.objects.filter(vault=vault.name, volume=label, member=name).exists():
        return False  # it has its row: what it holds is known already
    with vault.warm(label, work.check) as mounted, mounted.open(name) as file:
        try:
            entries = volume.read_manifest(file)["instances"]
        except volume.Damaged:
            return False
    there = {(entry["sop_instance_uid"], entry["stored_sha256"]) for entry in entries}
    return there == {instance.key for instance in wanted}


def _note_copy(work: Work, vault: Vault, revision: int, name: str, label: str) -> None:
    with vault.warm(label, work.check) as mounted, mounted.open(name) as file:
        entries = volume.read_manifest(file)["instances"]
        found = volume.extents(file)
        size_bytes = mounted.size_of(name)
    with work.fenced():
        copy = Copy.objects.create(
            node=work.node,
            study_uid=work.study_uid,
            vault=vault.name,
            volume=label,
            member=name,
            revision=revision,
            instances=len(entries),
            size_bytes=size_bytes,
        )
        CopiedInstance.objects.bulk_create(
            [_row(copy, entry, found[entry["path"]]) for entry in entries], batch_size=500
        )


def _row(copy: Copy, entry: dict[str, Any], extent: volume.Extent) -> CopiedInstance:
    return CopiedInstance(
        copy=copy,
        sop_instance_uid=entry["sop_instance_uid"],
        stored_sha256=entry["stored_sha256"],
        size_bytes=extent.size_bytes,
        offset=extent.offset,
    )
