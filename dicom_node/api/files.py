"""Several stored files at once, for the archive: a request for each costs more than its bytes."""

from __future__ import annotations

import tarfile
from collections.abc import Iterator
from pathlib import Path

from django.http import HttpRequest, StreamingHttpResponse
from django.views.decorators.http import require_GET

from dicom_node.api.guard import allowed
from dicom_node.config import CONFIG
from dicom_node.models import Instance
from dicom_node.store.layout import Layout
from pacs_common.availability import Availability
from pacs_common.errors import NotFound, NotOnline
from pacs_common.uids import Uid

LAYOUT = Layout(CONFIG.data_dir)
CHUNK_BYTES = 1 << 20
_BLOCK = tarfile.BLOCKSIZE


@require_GET
@allowed("custody.read")
def files(request: HttpRequest, study_uid: str) -> StreamingHttpResponse:
    """Answer a tar of the stored files of `instances`, byte for byte, in the order asked for."""
    asked = [Uid.parse(uid) for uid in request.GET.get("instances", "").split(",") if uid]
    if not asked:
        raise NotFound("no instance is asked for")
    found = Instance.every.filter(uid__in=asked, series__study__uid=Uid.parse(study_uid))
    known = {each.uid: each for each in found}
    for uid in asked:
        if uid not in known:
            raise NotFound(f"instance {uid} is not here")
        if known[uid].availability != Availability.ONLINE:
            raise NotOnline(f"instance {uid} is {known[uid].availability}")
    paths = [LAYOUT.object(known[uid].hour, uid) for uid in asked]
    sizes = [path.stat().st_size for path in paths]
    answer = StreamingHttpResponse(_tar(paths, sizes), content_type="application/x-tar")
    blocks = sum(_BLOCK + size + -size % _BLOCK for size in sizes)
    answer["Content-Length"] = str(blocks + 2 * _BLOCK)
    return answer


def _tar(paths: list[Path], sizes: list[int]) -> Iterator[bytes]:
    """Yield the tar; a file that went away meanwhile, or changed, ends it early."""
    for path, size_bytes in zip(paths, sizes, strict=True):
        header = tarfile.TarInfo(path.name)
        header.size = size_bytes
        yield header.tobuf(tarfile.GNU_FORMAT)
        left = size_bytes
        with path.open("rb") as file:
            while left:
                chunk = file.read(min(CHUNK_BYTES, left))
                if not chunk:
                    raise NotOnline(f"{path.name} is not what it was")
                left -= len(chunk)
                yield chunk
        if size_bytes % _BLOCK:
            yield bytes(-size_bytes % _BLOCK)
    yield bytes(2 * _BLOCK)
