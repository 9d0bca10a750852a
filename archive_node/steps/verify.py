"""Read a study's new copies back from their volumes, and believe nothing else."""

from __future__ import annotations

from collections.abc import Callable

from django.conf import settings
from django.utils import timezone

from archive_node import library
from archive_node.catalogue import held, mark_bad, note_verified
from archive_node.models import CopiedInstance, Copy
from archive_node.steps import copies, receipts
from archive_node.steps import manifest as manifests
from archive_node.steps.manifest import Manifest
from archive_node.steps.thawing import ask_everywhere
from archive_node.steps.whereabouts import Place
from archive_node.steps.work import Work
from archive_node.vault import volume
from archive_node.vault.base import MountedVolume
from archive_node.vault.tar import Damaged
from pacs_common import errors
from pacs_common.sentences import say

DigestOf = Callable[[CopiedInstance], str | None]


def verify(work: Work) -> None:
    """Compare every unproven file on the vault's volumes with the digest that its node keeps.

    Only then is a copy verified. Raises Damaged, after all copies were read, where one is bad: it
    frees nothing, and the next copy job writes its instances anew. MediumFailed, which says nothing
    against a copy, and KeyMissing end it at once.
    """
    doubtful = library.doubtful(library.vault(work.vault))
    manifest = manifests.fetch(work)
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
    members: dict[Place, list[str]] = {}
    for copy in found:
        members.setdefault(Place.of_copy(copy), []).append(copy.member)
    ask_everywhere(members, work.check)
    problems = [problem for copy in found if (problem := _prove(work, copy, manifest.digest_of))]
    if problems:
        raise Damaged(problems[0])
    _conclude(work, manifest, doubtful)


def prove(
    mounted: MountedVolume,
    copy: Copy,
    digest_of: DigestOf,
    progress: Callable[[volume.Placed], None],
) -> None:
    """Read one copy whole and compare each file; raises Damaged, NotFound or KeyMissing.

    `digest_of` gives the node's digest; where it gives none, the catalogue's counts.
    """
    expected = [copies.placed(row, digest_of(row)) for row in copy.contents.all()]
    with mounted.open(copy.member) as file:
        volume.opened(file, copy.member, settings.ARCHIVE.keys).prove(expected, progress)


def _conclude(work: Work, manifest: Manifest, doubtful: set[str]) -> None:
    proven = held(work.node, work.study_uid, verified=True, vault=work.vault, but_on=doubtful)
    unproven = [entry for entry in manifest.files if entry.key not in proven]
    away = [entry for entry in unproven if entry.availability != "ONLINE"]
    if away:
        raise errors.Conflict(
            say("unproven", instances_count=len(away), instance_uid=away[0].sop_instance_uid)
        )
    if not unproven:  # else something arrived meanwhile: the next copy job brings it
        with work.fenced():
            note_verified(work.node, work.study_uid, work.vault, manifest.revision)
    receipts.tell(work, manifest)


def _prove(work: Work, copy: Copy, digest_of: DigestOf) -> str:
    """Settle one copy; return what is wrong with it, or an empty string."""
    try:
        with copies.warmed(work.vault, copy.volume, work.check) as mounted:
            mounted.settle(copy.member)  # a killed worker may have named it and synced no folder
            prove(mounted, copy, digest_of, lambda each: work.advance(each.extent.size_bytes))
    except (Damaged, errors.NotFound) as error:
        problem = say("copy-bad", volume=copy.volume, member=copy.member, why=error)
        with work.fenced():
            mark_bad(copy, problem)
        return problem
    with work.fenced():
        Copy.objects.filter(id=copy.id, bad_since=None).update(verified_at=timezone.now())
    return ""
