"""Volumes on the shelf: who waits for them, and what happens when one is put in."""

from __future__ import annotations

from datetime import timedelta

from django.db import IntegrityError, transaction
from django.db.models import QuerySet
from django.utils import timezone

from archive_node import library, trail
from archive_node.jobs import moves
from archive_node.jobs.moves import State
from archive_node.models import Job, MountRequest
from archive_node.vault.base import Vault, Volume, VolumeState, WrongVolume
from pacs_common.sentences import say

RESTORE_GONE_AFTER = timedelta(minutes=15)  # one that lives says so each minute
UNWANTED_AFTER = timedelta(hours=1)


def ask(vault: str, label: str) -> None:
    """Ask the operators for a volume; one request stands for all jobs that wait for it."""
    try:
        with transaction.atomic():
            MountRequest.objects.get_or_create(vault=vault, volume=label, ended_at=None)
    except IntegrityError:
        pass  # another worker asked in the same moment


def ask_for_restore(vault: str, label: str, node: str) -> None:
    """Ask for a volume on behalf of a node's restore, which says again and again that it waits."""
    ask(vault, label)
    opened = MountRequest.objects.filter(vault=vault, volume=label, ended_at=None)
    opened.update(restore_of=node, restore_seen_at=timezone.now())


def note_restore_waits(node: str) -> None:
    """Note that a node's restore still waits for what it asked for."""
    waiting = MountRequest.objects.filter(restore_of=node, ended_at=None)
    waiting.update(restore_seen_at=timezone.now())


def end_restore_waits(node: str) -> None:
    """Note that a node's restore waits for nothing any more."""
    waiting = MountRequest.objects.filter(restore_of=node, ended_at=None)
    waiting.update(restore_of="", restore_seen_at=None)


def restore_waiting(request: MountRequest) -> str:
    """Return the node whose restore waits for a volume, nothing where none does (any more)."""
    seen_at = request.restore_seen_at
    is_alive = seen_at is not None and timezone.now() - seen_at < RESTORE_GONE_AFTER
    return request.restore_of if is_alive else ""


def waiting_for(request: MountRequest) -> QuerySet[Job]:
    """Return the jobs that wait for a request's volume."""
    wanted = moves.waits_for_volume(request.vault, request.volume)
    return Job.objects.filter(state=State.WAITING, waits_for=wanted)


def insert(vault_name: str, label: str, barcode: str, drive: int | None, by: str) -> int:
    """Take a volume from the shelf on an operator's word; return how many jobs it wakes.

    Raises WrongVolume where another one was inserted. A volume that the library has already (its
    panel was used, or the answer to an earlier call was lost) is as good as inserted now.
    """
    if barcode != label:
        raise WrongVolume(say("barcode-other", barcode=barcode[:40], volume=label))
    library.vault(vault_name).insert(label, barcode, drive)
    with transaction.atomic():
        opened = MountRequest.objects.filter(vault=vault_name, volume=label, ended_at=None)
        opened.update(ended_at=timezone.now(), ended_by=by[:200])
        woken = moves.wake(moves.waits_for_volume(vault_name, label))
        trail.note("inserted", by, vault=vault_name, volume=label, jobs=woken)
    return woken


def is_shelved(volume: Volume) -> bool:
    """Return whether a volume lies on the shelf, or was taken away from there."""
    return volume.state == VolumeState.EXPORTED or volume.shelved


def drive_for(vault: Vault) -> int | None:
    """Return the first drive that holds nothing, None where there is none to name."""
    taken = {volume.drive for volume in vault.volumes()}
    free = (number + 1 for number in range(vault.drives) if number + 1 not in taken)
    return next(free, None)


def end_unwanted() -> int:
    """End the requests for which no job has waited for a while; return how many."""
    ended = 0
    for request in MountRequest.objects.filter(
        ended_at=None, asked_at__lt=timezone.now() - UNWANTED_AFTER
    ):
        if not restore_waiting(request) and not waiting_for(request).exists():
            still = MountRequest.objects.filter(id=request.id, ended_at=None)
            ended += still.update(ended_at=timezone.now(), ended_by="nobody waits for it")
    return ended
