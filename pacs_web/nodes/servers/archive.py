"""The archive among the servers: it has a state, and is not searched."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from pacs_common.archive_client import ArchiveClient
from pacs_common.tickets import TicketIssuer


class ArchiveServer:
    """A registered archive, as far as its state goes."""

    def __init__(self, name: str, url: str, issuer: TicketIssuer, subject: str, read_s: float):
        self.name = name
        self._client = (url, issuer, subject, read_s)

    def status(self) -> dict[str, Any]:
        """Return vaults, job counts and the policy in force."""
        with self._asked() as client:
            return client.status()

    def log(self, **asked: str | int) -> list[dict[str, Any]]:
        """Return the newest lines of its log; `asked` are level, words and limit."""
        with self._asked() as client:
            return client.log(**asked)

    @contextmanager
    def _asked(self) -> Iterator[ArchiveClient]:
        url, issuer, subject, read_s = self._client
        client = ArchiveClient(url, issuer, subject=subject, read_s=read_s)
        try:
            yield client
        finally:
            client.http.close()
