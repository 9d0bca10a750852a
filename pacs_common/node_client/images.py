"""What a node offers by DICOMweb: search, retrieve, store, reject; and its headers."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Mapping
from contextlib import AbstractContextManager
from typing import Any

import httpx

from pacs_common.errors import BadInput, PeerUnreachable
from pacs_common.http import held
from pacs_common.node_client.connection import NodeConnection
from pacs_common.uids import Uid

MOST_BYTES = 64 << 20  # of the answer to a search
MOST_ANSWERS = 20_000
_WARNING = re.compile(r'299 \S+ "((?:[^"\\]|\\.){1,500})"')  # RFC 7234 5.5
STORE_READ_S = 300.0  # between two sent or received chunks: the node syncs what it took
_UID_OF = {"studies": "0020000D", "series": "0020000E", "instances": "00080018"}


class Answers(list[dict[str, Any]]):
    """The answers to a search, and what the server warned of."""

    def __init__(
        self, found: Iterable[dict[str, Any]] = (), warnings: tuple[str, ...] = ()
    ) -> None:
        super().__init__(found)
        self.warnings = warnings


class Images(NodeConnection):
    """The node as a DICOMweb server."""

    def qido(self, path: str, params: Mapping[str, Any]) -> Answers:
        """Return the DICOM JSON answers of `/dicom-web/<path>` ([] for none), with its warnings.

        Raises PeerUnreachable where an answer is no data set, or none that bears the UID of its
        level, by which all else is asked; and where there are more than were asked for, or than
        MOST_BYTES of them.
        """
        with self.http.stream(
            "GET",
            f"/dicom-web/{path}",
            params=params,
            headers={"Accept": "application/dicom+json"},
            token=self._ticket("dicomweb"),
        ) as answer:
            content = held(answer.iter_bytes(), self.name, MOST_BYTES)
            warnings = answer.headers.get("Warning", "")
        found = _read(content)
        if not _is_found(found, _UID_OF.get(path.rpartition("/")[2])):
            raise PeerUnreachable(f"{self.name} answered {path} with no DICOM JSON")
        if len(found) > int(params.get("limit", MOST_ANSWERS)):
            raise PeerUnreachable(f"{self.name} answered {path} with more than was asked for")
        return Answers(found, texts_of(warnings))

    def dicomweb(
        self,
        path: str,
        *,
        method: str = "GET",
        params: Mapping[str, Any] | None = None,
        headers: Mapping[str, str] | None = None,
        passing: bool = True,
    ) -> AbstractContextManager[httpx.Response]:
        """Open `/dicom-web/<path>` as a stream whose status and headers can be passed on.

        The path `wado` stands for the node's WADO-URI service, which lies beside the others.
        """
        return self.http.stream(
            method,
            "/wado" if path == "wado" else f"/dicom-web/{path}",
            params=params,
            headers=headers,
            token=self._ticket("dicomweb"),
            passing=passing,
        )

    def store(
        self,
        path: str,
        content: Iterable[bytes],
        headers: Mapping[str, str],
        *,
        study: str | None = None,
    ) -> AbstractContextManager[httpx.Response]:
        """Open the answer to a STOW-RS request, whose body is streamed; into `study` alone."""
        return self.http.stream(
            "POST",
            f"/dicom-web/{path}",
            headers=headers,
            content=content,
            token=self._ticket("dicomweb.store", study=study),
            passing=True,
            read_s=STORE_READ_S,
        )

    def reject(
        self, path: str, params: Mapping[str, Any] | None = None
    ) -> AbstractContextManager[httpx.Response]:
        """Open the answer to a DELETE of `/dicom-web/<path>`, which hides and removes nothing."""
        return self.http.stream(
            "DELETE",
            f"/dicom-web/{path}",
            params=params,
            token=self._ticket("dicomweb.delete"),
            passing=True,
        )

    def header(self, sop_uid: str) -> dict[str, Any]:
        """Return every element of an instance's header: see docs/interfaces.md."""
        path = f"/api/instances/{Uid.parse(sop_uid)}/header"
        told = self.http.json("GET", path, token=self._ticket("dicomweb"))
        elements = told.get("elements") if isinstance(told, dict) else None
        if not isinstance(elements, list) or not all(isinstance(one, dict) for one in elements):
            raise PeerUnreachable(f"{self.name} answered {path} with no header")
        return dict(told)


def texts_of(header: str) -> tuple[str, ...]:
    """Return the texts of a Warning header's persistent warnings (299)."""
    return tuple(re.sub(r"\\(.)", r"\1", text) for text in _WARNING.findall(header))


def _read(content: bytes) -> Any:
    try:
        return json.loads(content) if content else []
    except (ValueError, RecursionError):
        return None


def _is_found(answers: object, tag: str | None) -> bool:
    """Return whether these are data sets in JSON, each with a UID of its own (PS3.18 10.6.3.3)."""
    return isinstance(answers, list) and all(
        isinstance(one, dict) and (tag is None or bears_uid(one.get(tag))) for one in answers
    )


def bears_uid(element: object) -> bool:
    """Return whether an attribute in DICOM JSON has one value, and that is a safe UID."""
    values = element.get("Value") if isinstance(element, dict) else None
    try:
        return isinstance(values, list) and len(values) == 1 and bool(Uid.parse(values[0]))
    except BadInput:
        return False
