"""Read a study's new copies back from their volumes, and believe nothing else."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from django.conf import settings
from django.utils import timezone

from archive_node import library
from archive_node.catalogue import held, mark_bad, note_verified
from archive_node.models import Copy
from archive_node.steps import copies, receipts
from archive_node.steps import manifest as manifests
from archive_node.steps.manifest import Manifest
from archive_node.steps.work import Work
from archive_node.vault import volume
from archive_node.vault.base import MountedVolume
from archive_node.vault.tar import Damaged
from pacs_common import errors
from pacs_common.sentences import say


def verify(work: Work) -> None:
    """Compare every unproven instance on the vault's volumes with the digest that its node keeps.

    Only then is a copy verified. Raises Damaged, after all copies were read, where one is bad: it
    frees nothing, and the next copy job writes its instances anew. MediumFailed, which says nothing
    against a copy, and KeyMissing end it at once.
    """
    doubtful = library.doubtful(library.vault(work.vault))
    manifest = manifests.fetch(work)
    digests = {instance.sop_instance_uid: instance.stored_sha256 for instance in manifest.instances}
    unproven = Copy.objects.filter(
        node=work.node,
        study_uid=work.study_uid,
        vault=work.vault,
        verified_at=None,
        bad_since=None,
    ).exclude(volume__in=doubtful)
    found = list(unproven.order_by("volume", "written_at", "id").prefetch_related("contents"))
    rows = [row for copy in found for row in copy.contents.all()]
    if rows:
        work.expect(len(rows), sum(row.size_bytes for row in rows))
    problems = [problem for copy in found if (problem := _prove(work, copy, digests))]
    if problems:
        raise Damaged(problems[0])
    _conclude(work, manifest, doubtful)


def prove(
    mounted: MountedVolume,
    copy: Copy,
    digests: Mapping[str, str | None],
    progress: Callable[[volume.Placed], None],
) -> None:
    """Read one copy whole and compare each instance; raises Damaged, NotFound or KeyMissing.

    `digests` are the node's, by SOP Instance UID; where it gives none, the catalogue's counts.
    """
    expected = [
        copies.placed(row, digests.get(row.sop_instance_uid)) for row in copy.contents.all()
    ]
    with mounted.open(copy.member) as file:
        volume.opened(file, copy.member, settings.ARCHIVE.keys).prove(expected, progress)


def _conclude(work: Work, manifest: Manifest, doubtful: set[str]) -> None:
    proven = held(work.node, work.study_uid, verified=True, vault=work.vault, but_on=doubtful)
    unproven = [entry for entry in manifest.instances if entry.key not in proven]
    away = [entry for entry in unproven if entry.availability != "ONLINE"]
    if away:
        raise errors.Conflict(
            say("unproven", instances_count=len(away), instance_uid=away[0].sop_instance_uid)
        )
    if not unproven:  # else something arrived meanwhile: the next copy job brings it
        with work.fenced():
            note_verified(work.node, work.study_uid, work.vault, manifest.revision)
    receipts.tell(work, manifest)


def _prove(work: Work, copy: Copy, digests: Mapping[str, str | None]) -> str:
    """Settle one copy; return what is wrong with it, or an empty string."""
    try:
        with copies.warmed(work.vault, copy.volume, work.check) as mounted:
            mounted.settle(copy.member)  # a killed worker may have named it and synced no folder
            prove(mounted, copy, digests, lambda each: work.advance(each.extent.size_bytes))
    except (Damaged, errors.NotFound) as error:
        problem = say("copy-bad", volume=copy.volume, member=copy.member, why=error)
        with work.fenced():
            mark_bad(copy, problem)
        return problem
    with work.fenced():
        Copy.objects.filter(id=copy.id, bad_since=None).update(verified_at=timezone.now())
    return ""
