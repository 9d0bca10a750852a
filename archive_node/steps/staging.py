"""Instances on their way: fetched whole and proven before a drive is asked for."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path

from django.conf import settings

from archive_node.steps.manifest import Instance
from archive_node.steps.work import Work
from archive_node.vault import volume
from pacs_common import errors


def folder(job_id: int) -> Path:
    """Return a job's own folder."""
    return settings.ARCHIVE.staging_dir / f"job-{job_id}"


def stage(work: Work, instances: Iterable[Instance]) -> dict[str, Path]:
    """Fetch instances from the node; one that an earlier attempt left whole is kept.

    Returns their files by SOP Instance UID. Raises DigestMismatch where the node sends bytes
    that are not those of its own digest.
    """
    home = folder(work.job_id)
    home.mkdir(parents=True, exist_ok=True)
    staged = {}
    for instance in instances:
        target = home / f"{instance.sop_instance_uid}.dcm"
        if not _is_whole(target, instance):
            _fetch(work, instance, target)
        staged[instance.sop_instance_uid] = target
        work.advance(instance.size_bytes)
    return staged


def clear(job_id: int) -> None:
    """Remove a job's folder."""
    shutil.rmtree(folder(job_id), ignore_errors=True)


def sweep(open_jobs: Callable[[], set[int]]) -> None:
    """Remove the folders of jobs that have ended; a job made while we look keeps its own."""
    staged = set(_staged_jobs())
    for job_id in staged - open_jobs():
        clear(job_id)


def _staged_jobs() -> Iterator[int]:
    home = settings.ARCHIVE.staging_dir
    for name in os.listdir(home) if home.exists() else []:
        number = name.removeprefix("job-")
        if number.isdigit():
            yield int(number)


def _is_whole(target: Path, instance: Instance) -> bool:
    try:
        with target.open("rb") as file:
            whole = volume.Extent(0, os.fstat(file.fileno()).st_size)
            if whole.size_bytes != instance.size_bytes:
                return False
            return volume.digest(file, whole) == instance.stored_sha256
    except FileNotFoundError:
        return False


def _fetch(work: Work, instance: Instance, target: Path) -> None:
    part = target.with_suffix(".part")
    received = work.client.fetch(work.study_uid, instance.sop_instance_uid, part)
    if (received.sha256, received.size_bytes) != (instance.stored_sha256, instance.size_bytes):
        raise errors.DigestMismatch(
            f"{work.node} sent {instance.sop_instance_uid} with another digest than its own"
        )
    part.rename(target)
