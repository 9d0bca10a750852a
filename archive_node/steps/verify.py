"""Read a study's new copies back from their volumes, and believe nothing else."""

from __future__ import annotations

from django.utils import timezone

from archive_node import library
from archive_node.catalogue import held, mark_bad, note_verified
from archive_node.models import Copy
from archive_node.steps import manifest as manifests
from archive_node.steps import receipts
from archive_node.steps.manifest import Manifest
from archive_node.steps.work import Work
from archive_node.vault import volume
from archive_node.vault.base import Vault
from pacs_common import errors


def verify(work: Work) -> None:
    """Compare every unproven instance on the vault's volumes with the digest that its node keeps.

    Only then is a copy verified. Raises Damaged, after all copies were read, where one is bad:
    it frees nothing, and the next copy job writes its instances anew.
    """
    vault = library.vault(work.vault)
    manifest = manifests.fetch(work)
    digests = {instance.sop_instance_uid: instance.stored_sha256 for instance in manifest.instances}
    unproven = Copy.objects.filter(
        node=work.node,
        study_uid=work.study_uid,
        vault=vault.name,
        verified_at=None,
        bad_since=None,
    )
    copies = list(unproven.order_by("volume", "written_at").prefetch_related("contents"))
    rows = [row for copy in copies for row in copy.contents.all()]
    if rows:
        work.expect(len(rows), sum(row.size_bytes for row in rows))
    problems = [problem for copy in copies if (problem := _prove(work, vault, copy, digests))]
    if problems:
        raise volume.Damaged(problems[0])
    _conclude(work, manifest)


def _conclude(work: Work, manifest: Manifest) -> None:
    proven = held(work.node, work.study_uid, verified=True, vault=work.vault)
    unproven = [entry for entry in manifest.instances if entry.key not in proven]
    away = [entry for entry in unproven if entry.availability != "ONLINE"]
    if away:
        raise errors.Conflict(
            f"{len(away)} instances are neither on the node nor in a good copy here, "
            f"the first is {away[0].sop_instance_uid}"
        )
    if not unproven:  # else something arrived meanwhile: the next copy job brings it
        with work.fenced():
            note_verified(work.node, work.study_uid, work.vault, manifest.revision)
    receipts.tell(work, manifest)


def _prove(work: Work, vault: Vault, copy: Copy, digests: dict[str, str | None]) -> str:
    """Settle one copy; return what is wrong with it, or an empty string."""
    expected = [
        volume.Placed(
            row.sop_instance_uid,
            digests.get(row.sop_instance_uid) or row.stored_sha256,
            volume.Extent(row.offset, row.size_bytes),
        )
        for row in copy.contents.all()
    ]
    try:
        with vault.warm(copy.volume, work.check) as mounted:
            mounted.settle(copy.member)  # a killed worker may have named it and synced no folder
            with mounted.open(copy.member) as file:
                volume.prove(file, expected, lambda placed: work.advance(placed.extent.size_bytes))
    except (volume.Damaged, errors.NotFound) as error:
        problem = f"the copy on {copy.volume} ({copy.member}) is bad: {error}"
        with work.fenced():
            mark_bad(copy, problem)
        return problem
    with work.fenced():
        Copy.objects.filter(id=copy.id, bad_since=None).update(verified_at=timezone.now())
    return ""
