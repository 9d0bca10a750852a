"""What the archive has of a study: the questions that steps, rules and pages ask the rows."""

from __future__ import annotations

from collections.abc import Collection, Mapping

from django.db.models import Count, F, Min, Q
from django.utils import timezone

from archive_node.models import CopiedInstance, Copy, Proof, StudyFacts

Key = tuple[str, str]  # SOP Instance UID and stored_sha256
Held = dict[Key, CopiedInstance]


def held(
    node: str, study_uid: str, *, verified: bool, vault: str = "", but_on: Collection[str] = ()
) -> Held:
    """Return the instances that good copies hold (with `verified`, only proven ones).

    Where several copies hold one, the last written stands. `vault` asks one vault alone, and then
    `but_on` leaves out its volumes of these labels: `library.doubtful` tells which are not to be
    relied on.
    """
    rows = _good(node, study_uid, verified)
    if vault:
        rows = rows.filter(copy__vault=vault).exclude(copy__volume__in=but_on)
    return {_key(row): row for row in rows}


def held_by_vault(
    node: str,
    study_uid: str,
    *,
    verified: bool,
    but_on: Mapping[str, Collection[str]] | None = None,
) -> dict[str, Held]:
    """Return the same for each vault that has anything of the study, by its name.

    `but_on` gives the labels of the volumes that are left out, for each vault.
    """
    left_out = but_on or {}
    found: dict[str, Held] = {}
    for row in _good(node, study_uid, verified):
        if row.copy.volume not in left_out.get(row.copy.vault, ()):
            found.setdefault(row.copy.vault, {})[_key(row)] = row
    return found


def all_copies(node: str, study_uid: str) -> dict[Key, list[CopiedInstance]]:
    """Return every verified good copy of each instance, in whatever vault, the newest first."""
    found: dict[Key, list[CopiedInstance]] = {}
    for row in _good(node, study_uid, True):
        found.setdefault(_key(row), []).insert(0, row)
    return found


def mark_bad(copy: Copy, problem: str) -> None:
    """Note that a copy cannot be trusted: it frees nothing and is written anew."""
    Copy.objects.filter(id=copy.id).update(
        verified_at=None, bad_since=timezone.now(), problem=problem[:500]
    )
    doubt(copy.node, copy.study_uid, copy.vault)


def doubt(node: str, study_uid: str, vault: str = "") -> None:
    """Note that something of a study is not proven (in one vault): it is copied again first."""
    proofs = Proof.objects.filter(node=node, study_uid=study_uid)
    (proofs.filter(vault=vault) if vault else proofs).delete()
    StudyFacts.objects.filter(node=node, study_uid=study_uid).update(is_proven=False)


def is_all_there(node: str, study_uid: str) -> bool:
    """Whether all of a study was on its node when that was last asked, the quarantine too."""
    known = StudyFacts.objects.filter(node=node, study_uid=study_uid, online__gte=F("instances"))
    return known.filter(Q(online__gt=0) | Q(quarantine_files__gt=0)).exists()


def note_verified(node: str, study_uid: str, vault: str, revision: int) -> None:
    """Note that every instance that the study had at `revision` is proven in a vault."""
    Proof.objects.update_or_create(
        node=node, study_uid=study_uid, vault=vault, defaults={"revision": revision}
    )


def proven_revisions(
    node: str, study_uids: Collection[str], vaults: Collection[str]
) -> dict[str, int]:
    """Return up to which revision each study is proven in all of `vaults`; others are left out."""
    rows = Proof.objects.filter(node=node, study_uid__in=study_uids, vault__in=vaults)
    counted = rows.values("study_uid").annotate(number=Count("id"), least=Min("revision"))
    return {row["study_uid"]: row["least"] for row in counted if row["number"] == len(set(vaults))}


def _key(row: CopiedInstance) -> Key:
    return (row.sop_instance_uid, row.stored_sha256)


def _good(node: str, study_uid: str, verified: bool):
    rows = CopiedInstance.objects.filter(
        copy__node=node, copy__study_uid=study_uid, copy__bad_since=None
    )
    if verified:
        rows = rows.filter(copy__verified_at__isnull=False)
    return rows.select_related("copy").order_by("copy__written_at", "id")
