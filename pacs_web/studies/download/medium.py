"""A medium that any DICOM reader opens: a file-set with its DICOMDIR (PS3.11 annex D, STD-GEN).

Files are Explicit VR Little Endian, their names at most 8 characters a level. What cannot be
written so (films, and what has no directory record) lies beside the file-set as it is stored.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

from django.utils.translation import gettext as _
from pydicom.uid import ExplicitVRLittleEndian

from pacs_common.errors import BadInput, CannotRender, NotAcceptable
from pacs_web.federation.metadata import series_metadata
from pacs_web.studies.download.archive import Entry, begun
from pacs_web.studies.download.directory import Directory, directory
from pacs_web.studies.download.members import Member

Headers = dict[str, dict[str, Any]]


def entries(members: Sequence[Member]) -> Iterator[Entry]:
    """Yield the files, README.TXT, and the DICOMDIR last."""
    with directory() as listed:
        beside: list[str] = []
        for member, header in _with_headers(members):
            yield _entry(member, header, listed, beside)
        yield "README.TXT", [_readme(beside)]
        if content := listed.content():
            yield "DICOMDIR", [content]


def _with_headers(members: Sequence[Member]) -> Iterator[tuple[Member, dict[str, Any] | None]]:
    """Yield each object with its metadata, asked for once a series."""
    series_uid, headers = "", Headers()
    for member in members:
        if member.series.uid != series_uid:
            told = series_metadata(member.node, member.study_uid, member.series.uid)
            headers = {one["00080018"]["Value"][0]: one for one in told.instances}
            series_uid = member.series.uid
        yield member, headers.get(member.uid)


def _entry(
    member: Member, header: dict[str, Any] | None, listed: Directory, beside: list[str]
) -> Entry:
    try:
        content = begun(member.blocks(ExplicitVRLittleEndian))
        if header is None:
            raise BadInput("its header is not known")
        return listed.add(header), content
    except (BadInput, NotAcceptable, CannotRender):
        name = f"OTHER/OB{len(beside):06d}"
        beside.append(name)
        return name, begun(member.blocks("*"))


def _readme(beside: Sequence[str]) -> bytes:
    lines = [
        _("This is a DICOM file-set: open DICOMDIR, or the whole folder, in a DICOM viewer."),
        _("It holds a person's medical images. Keep it as confidential as any medical record."),
    ]
    if beside:
        lines.append(_("Not in the directory, kept as they are stored:") + " " + " ".join(beside))
    return ("\r\n".join(lines) + "\r\n").encode()
