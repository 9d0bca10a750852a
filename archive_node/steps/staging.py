"""Files that are brought whole and proven before a drive is asked for."""

from __future__ import annotations

import hashlib
import os
import shutil
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path

from django.conf import settings

from archive_node.catalogue import Key
from archive_node.models import CopiedInstance
from archive_node.steps.manifest import Instance
from archive_node.steps.work import Work
from archive_node.vault import volume
from archive_node.vault.tar import CHUNK_BYTES
from pacs_common import errors
from pacs_common.http import Received
from pacs_common.sentences import say


def folder(job_id: int) -> Path:
    """Return a job's own folder."""
    return settings.ARCHIVE.staging_dir / f"job-{job_id}"


def stage(work: Work, instances: Iterable[Instance]) -> set[Key]:
    """Fetch files from the node; one that an earlier attempt left whole is kept.

    Returns their keys. Raises DigestMismatch where the node sends bytes that are not those of its
    own digest.
    """
    folder(work.job_id).mkdir(parents=True, exist_ok=True)
    staged = set()
    for instance in instances:
        target = _file(work.job_id, instance.key)
        if not _is_whole(target, instance):
            _fetch(work, instance, target)
        staged.add(instance.key)
        work.advance(instance.size_bytes)
    return staged


def keep(work: Work, row: CopiedInstance, chunks: Iterator[bytes]) -> None:
    """Stage an instance that is read from a volume; raises Damaged unless its digest is right."""
    target = _file(work.job_id, (row.sop_instance_uid, row.stored_sha256))
    target.parent.mkdir(parents=True, exist_ok=True)
    part = target.with_suffix(".part")
    sha256 = hashlib.sha256()
    with part.open("wb") as file:
        for chunk in chunks:
            sha256.update(chunk)
            file.write(chunk)
    if sha256.hexdigest() != row.stored_sha256:
        raise volume.Damaged("its bytes are not those that were verified")
    part.rename(target)
    work.advance(row.size_bytes)


def left_whole(work: Work, instances: Iterable[Instance]) -> set[Key]:
    """Return the keys of those that an earlier attempt staged."""
    found = set()
    for instance in instances:
        if _is_whole(_file(work.job_id, instance.key), instance):
            found.add(instance.key)
            work.advance(instance.size_bytes)
    return found


def content(job_id: int, key: Key) -> Iterator[bytes]:
    """Yield the bytes of a staged file."""
    with _file(job_id, key).open("rb") as file:
        while chunk := file.read(CHUNK_BYTES):
            yield chunk


def drop(job_id: int, key: Key) -> None:
    """Remove a staged file."""
    _file(job_id, key).unlink(missing_ok=True)


def clear(job_id: int) -> None:
    """Remove a job's folder."""
    shutil.rmtree(folder(job_id), ignore_errors=True)


def sweep(open_jobs: Callable[[], set[int]]) -> None:
    """Remove the folders of jobs that have ended; a job made while we look keeps its own."""
    staged = set(_staged_jobs())
    for job_id in staged - open_jobs():
        clear(job_id)


def _file(job_id: int, key: Key) -> Path:
    return folder(job_id) / f"{key[0]}-{key[1]}.dcm"  # a UID may have several files


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
    received = _received(work, instance, part)
    if (received.sha256, received.size_bytes) != (instance.stored_sha256, instance.size_bytes):
        uid = instance.sop_instance_uid
        raise errors.DigestMismatch(say("node-sent-other", node=work.node, instance_uid=uid))
    part.rename(target)


def _received(work: Work, instance: Instance, part: Path) -> Received:
    uid, digest = instance.sop_instance_uid, instance.quarantined_as
    if not digest:
        return work.client.fetch(work.study_uid, uid, part)
    try:
        return work.client.fetch_quarantined(work.study_uid, uid, digest, part)
    except errors.NotFound as error:  # somebody has just decided about it: ask anew
        why = say("node-left-quarantine", instance_uid=uid, node=work.node)
        raise errors.Unavailable(why) from error
