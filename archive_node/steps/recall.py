"""Put a study back on its node, from proven copies, in the order of the tape."""

from __future__ import annotations

import hashlib
import tempfile
from itertools import groupby
from typing import IO

from django.utils import timezone

from archive_node import library
from archive_node.catalogue import held, mark_bad
from archive_node.models import CopiedInstance, Copy, StudyFacts
from archive_node.steps import manifest as manifests
from archive_node.steps import staging
from archive_node.steps.work import Work
from archive_node.vault import volume
from pacs_common import errors

IN_MEMORY_BYTES = 32 << 20


def recall(work: Work) -> None:
    """Send back every instance that the node lacks and a verified copy holds.

    Each is read whole and compared with its digest before a byte of it is sent. Raises NotFound
    or Damaged at the end where some could not be brought, naming the first.
    """
    manifest = manifests.fetch(work)
    lacking = [entry for entry in manifest.instances if entry.availability != "ONLINE"]
    proven = held(work.node, work.study_uid, verified=True)
    rows = [proven[entry.key] for entry in lacking if entry.key in proven]
    work.expect(len(lacking), sum(entry.size_bytes for entry in lacking))
    problems = []
    for copy, contents in groupby(sorted(rows, key=_tape_order), key=lambda row: row.copy):
        try:
            problems += _bring(work, copy, list(contents))
        except errors.NotFound as error:  # the volume is away, or the node knows it no more:
            problems.append(str(error))  # that says nothing against the copy
    if problems:
        raise volume.Damaged(problems[0])
    missing = [entry for entry in lacking if entry.key not in proven]
    if missing:
        raise errors.NotFound(
            f"{len(missing)} of {len(lacking)} instances have no verified copy, "
            f"the first is {missing[0].sop_instance_uid}"
        )
    with work.fenced():
        StudyFacts.objects.update_or_create(
            node=work.node, study_uid=work.study_uid, defaults={"recalled_at": timezone.now()}
        )


def _tape_order(row: CopiedInstance) -> tuple[str, str, object, int, int]:
    return (row.copy.vault, row.copy.volume, row.copy.written_at, row.copy_id, row.offset)


def _bring(work: Work, copy: Copy, rows: list[CopiedInstance]) -> list[str]:
    """Bring one member's instances; return what is wrong with them.

    Raises NotFound where the vault lacks the volume, or the node does not know an instance.
    """
    with library.vault(copy.vault).warm(copy.volume, work.check) as mounted:
        try:
            file = mounted.open(copy.member)
        except errors.NotFound as error:
            problems = [str(error)]
        else:
            with file:
                problems = _send_all(work, file, rows, copy.volume)
    if problems:
        with work.fenced():
            mark_bad(copy, problems[0])
    return problems


def _send_all(work: Work, file: IO[bytes], rows: list[CopiedInstance], label: str) -> list[str]:
    problems = []
    for row in rows:
        try:
            _send(work, file, row)
        except volume.Damaged as error:
            problems.append(f"{row.sop_instance_uid} on {label}: {error}")
    return problems


def _send(work: Work, file: IO[bytes], row: CopiedInstance) -> None:
    """Read one instance once, into memory or staging, and send it only if it is what was kept."""
    home = staging.folder(work.job_id)
    home.mkdir(parents=True, exist_ok=True)
    sha256 = hashlib.sha256()
    with tempfile.SpooledTemporaryFile(max_size=IN_MEMORY_BYTES, dir=str(home)) as spool:
        for chunk in volume.chunks(file, volume.Extent(row.offset, row.size_bytes)):
            sha256.update(chunk)
            spool.write(chunk)
        if sha256.hexdigest() != row.stored_sha256:
            raise volume.Damaged("its bytes are not those that were verified")
        spool.seek(0)
        work.check()
        work.client.put_back(work.study_uid, row.sop_instance_uid, spool, row.size_bytes)
    work.advance(row.size_bytes)
