"""What federation asks of any server: one of our own, a foreign one, one that speaks only DIMSE."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from contextlib import AbstractContextManager
from dataclasses import dataclass
from typing import Any, Protocol

import httpx


@dataclass(frozen=True)
class Abilities:
    """What a server can do besides answering a search and sending what it has."""

    keyset_order: bool = False
    """Studies come by study date, newest first, then by UID; other servers keep no order."""
    statistics: bool = False
    """`status()` tells of disk, counts, arrivals and copies."""
    store: bool = False
    """It takes objects by STOW-RS from the portal."""
    reject: bool = False
    """It hides what a DELETE names."""
    relational: bool = True
    """Series and instances are found without naming their study."""
    whole: bool = True
    """It shows the person all that it holds; not so where the person's access is limited."""


class Place(Protocol):
    """A node as nginx may reach it on the portal's behalf."""

    id: int

    def ticket(self, study: str | None) -> str:
        """Return a ticket to retrieve, bound to a study where one is named."""


class Server(Protocol):
    """One server, asked on behalf of one person; every call raises `pacs_common.errors`."""

    name: str

    @property
    def abilities(self) -> Abilities:
        """What it can do."""

    @property
    def place(self) -> Place | None:
        """Where nginx may fetch from it; None for what only the portal itself can ask."""

    def status(self) -> dict[str, Any]:
        """Return what it tells of itself; PeerUnreachable where it does not answer."""

    def qido(self, path: str, params: Mapping[str, Any]) -> list[dict[str, Any]]:
        """Return the DICOM JSON answers of a QIDO-RS search, each with the UID of its level.

        `limit` and `offset` are kept to; each patient bears an issuer (custody rule 12).
        """

    def dicomweb(
        self,
        path: str,
        *,
        method: str = "GET",
        params: Mapping[str, Any] | None = None,
        headers: Mapping[str, str] | None = None,
        passing: bool = True,
    ) -> AbstractContextManager[httpx.Response]:
        """Open a WADO-RS resource (or `wado`) as a stream; without `passing` a refusal raises."""

    def store(
        self,
        path: str,
        content: Iterable[bytes],
        headers: Mapping[str, str],
        *,
        study: str | None = None,
    ) -> AbstractContextManager[httpx.Response]:
        """Open the answer to a STOW-RS request; Refused where it is not able to."""

    def reject(
        self, path: str, params: Mapping[str, Any] | None = None
    ) -> AbstractContextManager[httpx.Response]:
        """Open the answer to a DELETE, which hides; Refused where it is not able to."""

    def header(self, sop_uid: str) -> dict[str, Any]:
        """Return every element of an instance's header: see docs/interfaces.md."""


def all_shown(servers: Iterable[Server]) -> bool:
    """Whether these servers show all that they hold, so that others may rely on what is found."""
    return all(server.abilities.whole for server in servers)
