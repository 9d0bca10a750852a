"""A DICOMweb server of another maker (PS3.18): Orthanc, dcm4chee and their like."""

from __future__ import annotations

import json
import time
from collections.abc import Iterable, Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager
from typing import Any

import httpx

from pacs_common.errors import NotFound, PeerUnreachable, Refused
from pacs_common.http import guarded, held
from pacs_common.node_client.images import MOST_BYTES
from pacs_common.resources import resource_path
from pacs_web.federation.dicom_json import text
from pacs_web.federation.server import Abilities
from pacs_web.nodes.models import Node
from pacs_web.nodes.servers import pictures
from pacs_web.nodes.servers.connection import Connection
from pacs_web.nodes.servers.headers import header_of
from pacs_web.nodes.servers.query import with_query
from pacs_web.nodes.servers.questions import SERVICE, Params, Question, wanted
from pacs_web.nodes.servers.readdressed import readdressed

JSON = {"Accept": "application/dicom+json"}
PASSED_ON = {"accept", "accept-encoding", "range", "if-none-match", "if-modified-since", "if-range"}
STORED_WITH = {"content-type", "content-length", "accept"}
STORE_READ_S = 300.0
OK = 200
MOST_ANSWERS = 20_000
MORE_TO_COME = "299"  # PS3.18 8.3.4.4: "There are N additional results that can be requested"


class WebServer:
    """A registered foreign DICOMweb server, asked with the credentials of its row."""

    place = None

    def __init__(self, node: Node, connection: Connection) -> None:
        self.name = node.name
        self.abilities = Abilities(store=node.stores)
        self._issuer = node.issuer or node.name
        self._at_once = node.answers_at_once
        self._paths = {
            "qido": node.qido_path.strip("/"),
            "wado": node.wado_path.strip("/"),
            "stow": node.stow_path.strip("/"),
        }
        self._connection = connection

    def status(self) -> dict[str, Any]:
        """Return that it answers a search, and in which time; raises why not."""
        began = time.monotonic()
        self._page("studies", {"limit": ["1"]})
        return {"name": self.name, "took_ms": round(1000 * (time.monotonic() - began))}

    def qido(self, path: str, params: Mapping[str, Any]) -> list[dict[str, Any]]:
        """Return the answers of a search, as our nodes give them."""
        question = Question.of(path, params)
        found: list[dict[str, Any]] = []
        for variant in question.variants():
            for page in self._pages(path, variant, question):
                if not all(map(question.uid_of, page)):
                    raise PeerUnreachable(f"{self.name} answered {path} with no DICOM JSON")
                found += page
        skipped = question.offset if question.plain else 0
        return wanted(question, found, self._issuer, skipped=skipped)

    @contextmanager
    def dicomweb(
        self,
        path: str,
        *,
        method: str = "GET",
        params: Mapping[str, Any] | None = None,
        headers: Mapping[str, str] | None = None,
        passing: bool = True,
    ) -> Iterator[httpx.Response]:
        """Open a WADO-RS resource; addresses inside metadata are made ours (WADO-URI: 404)."""
        if path == "wado":
            raise NotFound(f"{self.name} is asked by WADO-RS alone")
        given = {n: v for n, v in (headers or {}).items() if n.lower() in PASSED_ON}
        passed_on = {"Accept-Encoding": "identity", **given}
        asked = pictures.standard(params or {})
        with self._opened(method, path, asked, passed_on, passing=passing) as answer:
            yield readdressed(answer, self._root("wado"), SERVICE) if _is_text(answer) else answer

    @contextmanager
    def store(
        self,
        path: str,
        content: Iterable[bytes],
        headers: Mapping[str, str],
        *,
        study: str | None = None,
    ) -> Iterator[httpx.Response]:
        """Pass a STOW-RS request on; Refused where the row does not allow it."""
        if not self.abilities.store:
            raise Refused(f"{self.name} takes no objects from the portal")
        base = next((v for n, v in headers.items() if n.lower() == "x-forwarded-base"), SERVICE)
        with self._connection.http.stream(
            "POST",
            self._at("stow", path),
            headers={n: v for n, v in headers.items() if n.lower() in STORED_WITH},
            content=content,
            passing=True,
            read_s=STORE_READ_S,
        ) as answer:
            yield readdressed(answer, self._root("stow"), base) if _is_text(answer) else answer

    def reject(
        self, path: str, params: Mapping[str, Any] | None = None
    ) -> AbstractContextManager[httpx.Response]:
        """Refuse: on a foreign server a DELETE would remove bytes (custody rule 8)."""
        raise Refused(f"{self.name} is not ours: reject the exam there")

    def header(self, sop_uid: str) -> dict[str, Any]:
        """Return every element of an instance, from its metadata; NotFound where it has none."""
        found = self.qido("instances", {"SOPInstanceUID": sop_uid, "limit": 1})
        if not found:
            raise NotFound(f"{self.name} has no such image")
        uids = (text(found[0], "StudyInstanceUID"), text(found[0], "SeriesInstanceUID"), sop_uid)
        path = f"{resource_path(*uids)}/metadata"
        with self.dicomweb(path, headers=JSON, passing=False) as answer:
            told = _json(b"".join(guarded(answer.iter_bytes(), self.name)))
        if not isinstance(told, list) or not told or not isinstance(told[0], dict):
            raise PeerUnreachable(f"{self.name} answered {path} with no metadata")
        return header_of(told[0])

    @contextmanager
    def _opened(
        self, method: str, path: str, params: Params, headers: dict[str, str], *, passing: bool
    ) -> Iterator[httpx.Response]:
        """Open a resource; a thumbnail that a server does not know is a small picture."""
        http = self._connection.http
        if path.endswith(pictures.THUMBNAIL):
            with http.stream(
                method, self._at("wado", path, params), headers=headers, passing=True
            ) as answer:
                if answer.status_code not in pictures.NOT_KNOWN:
                    yield answer
                    return
            path = pictures.instead_of_thumbnail(self, path)
        with http.stream(
            method, self._at("wado", path, params), headers=headers, passing=passing
        ) as answer:
            if answer.status_code == OK:
                answer.headers.update(pictures.identity(path, params))
            yield answer

    def _pages(self, path: str, variant: Params, question: Question) -> Iterator[list[Any]]:
        """Yield a server's answers until there are enough, or it says that there are no more."""
        offset = question.offset if question.plain else 0
        enough = MOST_ANSWERS if question.limit is None else question.offset + question.limit
        enough = enough if question.plain else MOST_ANSWERS
        while offset < enough:
            numbers = {"limit": [str(enough - offset)], "offset": [str(offset)]}
            page, more = self._page(path, {**variant, **numbers})
            yield page
            offset += len(page)
            if not page or not more:
                return

    def _page(self, path: str, params: Params) -> tuple[list[Any], bool]:
        """Return the answers of one request (none for 204), and whether there are more."""
        address = self._at("qido", path, params)
        with self._connection.http.stream("GET", address, headers=JSON) as answer:
            content = held(answer.iter_bytes(), self.name, MOST_BYTES)
            warned = MORE_TO_COME in answer.headers.get("Warning", "")
        told = _json(content) if content else []
        if not isinstance(told, list):
            raise PeerUnreachable(f"{self.name} answered {path} with no DICOM JSON")
        return told, warned or (self._at_once > 0 and len(told) >= self._at_once)

    def _at(self, service: str, path: str, params: Params | None = None) -> str:
        prefix = self._paths[service]
        return with_query(f"/{prefix}/{path}" if prefix else f"/{path}", params or {})

    def _root(self, service: str) -> str:
        return self._connection.http.base_url + self._at(service, "").rstrip("/")


def _is_text(answer: httpx.Response) -> bool:
    kind = answer.headers.get("Content-Type", "").partition(";")[0].strip().lower()
    return kind.endswith(("json", "xml"))


def _json(content: bytes) -> Any:
    try:
        return json.loads(content)
    except (ValueError, RecursionError):
        return None
