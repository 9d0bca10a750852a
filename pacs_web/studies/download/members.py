"""Which objects of an exam are taken along, and from which server each is fetched."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from django.http import HttpRequest

from pacs_common.errors import NotFound, NotOnline
from pacs_common.http import guarded
from pacs_common.resources import resource_path
from pacs_web.federation.dicom_json import text, whole
from pacs_web.federation.opening import OpenStudy, instances
from pacs_web.federation.part import only_part
from pacs_web.federation.server import Server
from pacs_web.federation.study import Series
from pacs_web.nodes.registry import clients

BLOCK_BYTES = 256 * 1024


@dataclass(frozen=True)
class Member:
    """One object, and the server that sends it."""

    node: Server
    series: Series
    study_uid: str
    uid: str
    number: int | None
    frames: int

    @property
    def path(self) -> str:
        """Its WADO-RS resource, below the server's root."""
        return resource_path(self.study_uid, self.series.uid, self.uid)

    @property
    def folder(self) -> str:
        """The folder of its series, where names may be longer than a medium's."""
        modality = plain(self.series.modality) or "OT"
        return f"series-{self.series.number or 0:03d}-{modality}-{self.series.uid[-8:]}"

    def blocks(self, transfer_syntax: str) -> Iterator[bytes]:
        """Fetch the object as a DICOM file in a transfer syntax, `*` for as it is stored."""
        accept = f'multipart/related; type="application/dicom"; transfer-syntax={transfer_syntax}'
        with self.node.dicomweb(self.path, headers={"Accept": accept}, passing=False) as answer:
            content_type = answer.headers.get("Content-Type", "")
            blocks = guarded(answer.iter_bytes(BLOCK_BYTES), self.node.name)
            yield from only_part(content_type, blocks)


def members_of(
    request: HttpRequest, opened: OpenStudy, chosen: Iterable[Series], instance_uid: str
) -> list[Member]:
    """Return the objects of the chosen series, or the one named.

    Raises NotOnline where one is in the archive, NotFound where there is none.
    """
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
            number, frames = whole(answer, "InstanceNumber"), whole(answer, "NumberOfFrames")
            members.append(Member(node, series, opened.study.uid, uid, number, frames or 1))
    if not members:
        raise NotFound("there are no files to download")
    return members


def plain(written: str) -> str:
    """Return what of a header's text may stand in a file's name: nothing that leads elsewhere."""
    return re.sub(r"[^A-Za-z0-9]", "", written)[:16]
