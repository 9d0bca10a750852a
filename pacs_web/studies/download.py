"""Takes an exam, a series or an image along: the stored DICOM files in a ZIP, streamed."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import chain

from django.http import HttpRequest, StreamingHttpResponse
from django.views.decorators.http import require_safe
from zipstream import ZIP_STORED, ZipStream

from pacs_common.errors import NotFound, NotOnline
from pacs_common.http import guarded
from pacs_common.node_client import NodeClient
from pacs_web import config
from pacs_web.accounts.guard import requires
from pacs_web.accounts.rights import Right
from pacs_web.audit.models import Action
from pacs_web.audit.record import record
from pacs_web.federation.dicom_json import text, whole
from pacs_web.federation.opening import OpenStudy, instances, open_study
from pacs_web.federation.part import only_part
from pacs_web.federation.study import Series
from pacs_web.nodes.registry import clients
from pacs_web.studies.views import clients_for

ACCEPT = 'multipart/related; type="application/dicom"; transfer-syntax=*'
BLOCK_BYTES = 256 * 1024
Member = tuple[NodeClient, str, str]  # the node, the path below /dicom-web/, the name in the ZIP


@requires(Right.DOWNLOAD)
@require_safe
def download(
    request: HttpRequest, study_uid: str, series_uid: str = "", instance_uid: str = ""
) -> StreamingHttpResponse:
    """Stream the ZIP of an exam, one of its series, or one image.

    Raises NotOnline before anything is sent where a file is in the archive; a node that
    breaks off later breaks the download, so that nobody takes half an exam for a whole.
    """
    opened = open_study(clients_for(request), study_uid, config.NODE_TIMEOUT_S)
    chosen = [opened.one_series(series_uid)] if series_uid else opened.series
    members = _members(request, opened, chosen, instance_uid)
    exam = opened.study
    record(
        request,
        Action.DOWNLOAD,
        study_uid=study_uid,
        patient=(exam.issuer, exam.patient_id),
        series=series_uid,
        instance=instance_uid,
        files=len(members),
    )
    response = StreamingHttpResponse(_zip_of(members), content_type="application/zip")
    name = f"exam-{exam.date or 'undated'}-{'-'.join(exam.modalities) or 'DICOM'}.zip"
    response["Content-Disposition"] = f'attachment; filename="{name}"'
    return response


def _members(
    request: HttpRequest, opened: OpenStudy, chosen: list[Series], instance_uid: str
) -> list[Member]:
    streaming = {
        client.name: client for client in clients(request.user.get_username(), patient=True)
    }
    members: list[Member] = []
    for series in chosen:
        node = streaming[series.node]
        for answer in instances(node, opened.study.uid, series.uid):
            uid = text(answer, "SOPInstanceUID")
            if instance_uid and uid != instance_uid:
                continue
            if text(answer, "InstanceAvailability") not in {"", "ONLINE"}:
                raise NotOnline("images of this exam are in the archive: bring it back first")
            path = f"studies/{opened.study.uid}/series/{series.uid}/instances/{uid}"
            members.append((node, path, _member_name(series, whole(answer, "InstanceNumber"), uid)))
    if not members:
        raise NotFound("there are no files to download")
    return members


def _member_name(series: Series, number: int | None, uid: str) -> str:
    folder = f"series-{series.number or 0:03d}-{series.modality or 'OT'}-{series.uid[-8:]}"
    return f"{folder}/{number or 0:05d}-{uid}.dcm"


def _zip_of(members: list[Member]) -> Iterator[bytes]:
    """Return the ZIP's blocks; the first file is opened now, while a refusal can be told."""
    first = _file_blocks(*members[0][:2])
    head = next(first, b"")
    archive = ZipStream(compress_type=ZIP_STORED)
    archive.add(chain([head], first), members[0][2])
    for node, path, name in members[1:]:
        archive.add(_file_blocks(node, path), name)
    return iter(archive)


def _file_blocks(node: NodeClient, path: str) -> Iterator[bytes]:
    with node.dicomweb(path, headers={"Accept": ACCEPT}, passing=False) as answer:
        content_type = answer.headers.get("Content-Type", "")
        blocks = guarded(answer.iter_bytes(BLOCK_BYTES), node.name)
        yield from only_part(content_type, blocks)
