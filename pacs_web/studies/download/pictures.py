"""Pictures for letters and slides: what a browser can show of each object, with its caption."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from django.utils.translation import gettext as _

from pacs_common.errors import BadInput, CannotRender, NotAcceptable
from pacs_common.http import guarded
from pacs_web.studies.download.archive import Entry, begun
from pacs_web.studies.download.members import BLOCK_BYTES, Member

ENDINGS = {
    "image/jpeg": "jpg",
    "image/gif": "gif",
    "image/png": "png",
    "application/pdf": "pdf",
    "video/mp4": "mp4",
    "video/mpeg": "mpg",
}
_DOCUMENTS = "application/pdf;q=0.5, video/mp4;q=0.5, video/mpeg;q=0.5"
STILL, LOOP = f"image/jpeg, {_DOCUMENTS}", f"image/gif, image/jpeg;q=0.9, {_DOCUMENTS}"
CAPTION = {"annotation": "patient,technique", "quality": "92"}


def entries(members: Sequence[Member]) -> Iterator[Entry]:
    """Yield a picture of each object that has one, then README.TXT."""
    without: list[str] = []
    for member in members:
        try:
            yield _entry(member)
        except (NotAcceptable, CannotRender, BadInput):
            without.append(f"{member.folder}/{member.number or 0:05d}")
    yield "README.TXT", [_readme(without)]


def _entry(member: Member) -> Entry:
    blocks = _rendered(member)
    ending = ENDINGS.get(next(blocks).decode(), "bin")
    return f"{member.folder}/{member.number or 0:05d}-{member.uid}.{ending}", begun(blocks)


def _rendered(member: Member) -> Iterator[bytes]:
    """Yield the picture's media type, then its blocks."""
    accept = LOOP if member.frames > 1 else STILL
    with member.node.dicomweb(
        f"{member.path}/rendered", params=CAPTION, headers={"Accept": accept}, passing=False
    ) as answer:
        yield answer.headers.get("Content-Type", "").partition(";")[0].strip().encode()
        yield from guarded(answer.iter_bytes(BLOCK_BYTES), member.node.name)


def _readme(without: Sequence[str]) -> bytes:
    lines = [
        _("These pictures are not for diagnosis: they are reduced to 8 bits and compressed."),
        _("They show a person's medical images. Keep them as confidential as any medical record."),
    ]
    if without:
        lines.append(_("Without a picture (reports, plans):") + " " + " ".join(without))
    return ("\r\n".join(lines) + "\r\n").encode()
