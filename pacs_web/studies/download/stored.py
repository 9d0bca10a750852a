"""The stored files as they are: every byte as the server holds it, in a folder for each series."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from pacs_web.studies.download.archive import Entry, begun
from pacs_web.studies.download.members import Member


def entries(members: Sequence[Member]) -> Iterator[Entry]:
    """Yield each file under a name that tells its series and number."""
    for member in members:
        yield name_of(member), begun(member.blocks("*"))


def name_of(member: Member) -> str:
    """Return the file's name in the ZIP; no two of an exam are equal."""
    return f"{member.folder}/{member.number or 0:05d}-{member.uid}.dcm"
