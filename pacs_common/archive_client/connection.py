"""The way to the archive: its address, and the tickets that it is shown."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any
from urllib.parse import quote

from pacs_common.authorities import of_roles
from pacs_common.http import HttpClient
from pacs_common.tickets import TicketIssuer

AUDIENCE = "archive"
ACT_READ_S = 120.0  # a changer may have to move a volume, and many jobs are many rows


class ArchiveConnection:
    """Speaks to the archive at `base_url` with tickets of `issuer`, on behalf of `subject`."""

    def __init__(
        self,
        base_url: str,
        issuer: TicketIssuer,
        *,
        subject: str,
        connect_s: float = 2.0,
        read_s: float = 10.0,
    ) -> None:
        self.subject = subject
        self.http = HttpClient(
            base_url, name="the archive", connect_s=connect_s, read_s=read_s, tls=of_roles()
        )
        self._issuer = issuer

    def _call(
        self,
        method: str,
        path: str,
        scope: str,
        *,
        params: Mapping[str, Any] | None = None,
        body: Any = None,
        read_s: float | None = None,
    ) -> Any:
        token = self._issuer.issue(AUDIENCE, [scope], subject=self.subject)
        return self.http.json(method, path, params=params, body=body, token=token, read_s=read_s)

    def _read(self, path: str, **params: str | int) -> Any:
        return self._call("GET", path, "archive.read", params=params or None)

    def _operate(self, method: str, path: str, body: Any = None) -> Any:
        return self._call(method, path, "archive.operate", body=body, read_s=ACT_READ_S)


def part(text: str) -> str:
    """Return one part of an address, whatever is in it."""
    return quote(text, safe="")
