"""Instances straight from the node, many in one answer, in the order in which they are written."""

from __future__ import annotations

from collections.abc import Iterator

from archive_node.steps.work import Work
from pacs_common import errors
from pacs_common.node_client.stored_files import FILES_AT_ONCE, StoredFile


class Stream:
    """The instances `uids` of a study, each to be read once, in this order."""

    def __init__(self, work: Work, uids: list[str]) -> None:
        self._work = work
        self._uids = uids
        self._at = 0
        self._files: Iterator[tuple[str, StoredFile]] = iter(())
        self._in_one = True

    def content(self, uid: str) -> Iterator[bytes]:
        """Yield the next instance's bytes; raises PeerUnreachable where they do not come whole."""
        file = self._next(uid) if self._in_one else None
        self._at += 1
        if file is None:
            yield from self._work.client.streamed(self._work.study_uid, uid)
        else:
            yield from file

    def _next(self, uid: str) -> StoredFile | None:
        """Return the next file; None where the node gives files one by one alone."""
        if self._at % FILES_AT_ONCE == 0:
            some = self._uids[self._at : self._at + FILES_AT_ONCE]
            self._files = self._work.client.files(self._work.study_uid, some)
        try:
            name, file = next(self._files)
        except errors.NotFound:  # an older node; or it has lost one, which it says of that alone
            self._in_one = False
            return None
        if name != uid:
            raise errors.PeerUnreachable(f"{self._work.node} sent {name[:64]} instead of {uid}")
        return file
