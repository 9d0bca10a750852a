"""Takes an exam, a series or an image along: the stored DICOM files in a ZIP, streamed."""

from __future__ import annotations

import re
from collections.abc import Iterator
from itertools import chain

from django.http import HttpRequest, HttpResponse, StreamingHttpResponse
from django.utils.translation import gettext as _
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
from pacs_web.federation.fan_out import Failure
from pacs_web.federation.opening import OpenStudy, instances, open_study
from pacs_web.federation.part import only_part
from pacs_web.federation.study import Series, Study
from pacs_web.nodes.registry import clients
from pacs_web.studies.views import clients_for

ACCEPT = 'multipart/related; type="application/dicom"; transfer-syntax=*'
BLOCK_BYTES = 256 * 1024
NOTE = "INCOMPLETE.txt"
Member = tuple[NodeClient, str, str]  # the node, the path below /dicom-web/, the name in the ZIP


@requires(Right.DOWNLOAD)
@require_safe
def download(
    request: HttpRequest, study_uid: str, series_uid: str = "", instance_uid: str = ""
) -> HttpResponse | StreamingHttpResponse:
    """Stream the ZIP of an exam, one of its series, or one image.

    Raises NotOnline before anything is sent where a file is in the archive; a node that
    breaks off later breaks the download, so that nobody takes half an exam for a whole. An
    exam that a silent node may hold more of is called incomplete, in its name and inside.
    """
    opened = open_study(clients_for(request), study_uid, config.NODE_TIMEOUT_S)
    chosen = [opened.one_series(series_uid)] if series_uid else opened.series
    members = _members(request, opened, chosen, instance_uid)
    missing = [] if series_uid else opened.failures
    name = _zip_name(opened.study, incomplete=bool(missing))
    headers = {
        "Content-Type": "application/zip",
        "Content-Disposition": f'attachment; filename="{name}"',
    }
    if request.method == "HEAD":
        return HttpResponse(headers=headers)
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
    return StreamingHttpResponse(_zip_of(members, missing), headers=headers)


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


def _zip_name(exam: Study, *, incomplete: bool) -> str:
    day = _plain(exam.date) or "undated"
    modalities = [plain for one in exam.modalities if (plain := _plain(one))]
    mark = "-INCOMPLETE" if incomplete else ""
    return f"exam-{day}-{'-'.join(modalities[:8]) or 'DICOM'}{mark}.zip"


def _member_name(series: Series, number: int | None, uid: str) -> str:
    modality = _plain(series.modality) or "OT"
    folder = f"series-{series.number or 0:03d}-{modality}-{series.uid[-8:]}"
    return f"{folder}/{number or 0:05d}-{uid}.dcm"


def _plain(written: str) -> str:
    """Return what of a header's text may stand in a file's name: nothing that leads elsewhere."""
    return re.sub(r"[^A-Za-z0-9]", "", written)[:16]


def _zip_of(members: list[Member], missing: list[Failure]) -> Iterator[bytes]:
    """Return the ZIP's blocks; the first file is opened now, while a refusal can be told."""
    first = _file_blocks(*members[0][:2])
    head = next(first, b"")
    archive = ZipStream(compress_type=ZIP_STORED)
    if missing:
        archive.add(_note(missing), NOTE)
    archive.add(chain([head], first), members[0][2])
    for node, path, name in members[1:]:
        archive.add(_file_blocks(node, path), name)
    return iter(archive)


def _note(missing: list[Failure]) -> bytes:
    names = ", ".join(failure.node for failure in missing)
    said = _("These servers did not answer and may hold more of this exam: %(names)s.")
    return (said % {"names": names} + "\r\n").encode()


def _file_blocks(node: NodeClient, path: str) -> Iterator[bytes]:
    with node.dicomweb(path, headers={"Accept": ACCEPT}, passing=False) as answer:
        content_type = answer.headers.get("Content-Type", "")
        blocks = guarded(answer.iter_bytes(BLOCK_BYTES), node.name)
        yield from only_part(content_type, blocks)
