"""A PACS that speaks only DIMSE, asked through the node of ours that is its landing place.

A search is a C-FIND of that node. What is found lies elsewhere (NEARLINE) until the node has
taken it by C-MOVE; from then on the node serves it.
"""

from __future__ import annotations

import time
from collections.abc import Iterable, Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager
from typing import Any

import httpx
from pydicom.datadict import keyword_for_tag, tag_for_keyword

from pacs_common.errors import BadQuery, NotFound, NotOnline, PeerUnreachable, Refused
from pacs_common.node_client import DicomPeer
from pacs_web.federation.dicom_json import TAGS, text
from pacs_web.federation.server import Abilities
from pacs_web.nodes.models import Node
from pacs_web.nodes.servers.own import OwnServer
from pacs_web.nodes.servers.questions import Question, wanted

LEVELS = {"studies": "STUDY", "series": "SERIES", "instances": "IMAGE"}
MOST_ANSWERS = 5000  # what a node takes of one query
NOT_HERE = 404
_NO_KEYS = {"fuzzymatching", "emptyvaluematching", "multiplevaluematching", "accept", "charset"}
_NOT_ASKED = {"InstanceAvailability", "RetrieveURL"}


class DimseServer:
    """A registered DIMSE-only PACS; `through` queries it and is where its images land."""

    abilities = Abilities(relational=False)
    place = None

    def __init__(self, node: Node, through: OwnServer) -> None:
        self.name = node.name
        self.through = through
        self.peer: DicomPeer = {"ae_title": node.ae_title, "host": node.host, "port": node.port}
        self._issuer = node.issuer

    def status(self) -> dict[str, Any]:
        """Return that it answers a C-ECHO, and in which time; raises why not."""
        began = time.monotonic()
        self.through.scu_echo(self.peer)
        return {"name": self.name, "took_ms": round(1000 * (time.monotonic() - began))}

    def qido(self, path: str, params: Mapping[str, Any]) -> list[dict[str, Any]]:
        """Return the answers of a search, as our nodes give them."""
        question = Question.of(path, params)
        if question.level == "instances" and question.study and not question.series:
            return self._of_all_series(question, params)
        found = [one for keys in _keys(question) for one in self._found(question, keys)]
        answers = wanted(question, found, self._issuer, skipped=0)
        for one in answers:
            one[TAGS["InstanceAvailability"]] = {"vr": "CS", "Value": ["NEARLINE"]}
        return answers

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
        """Open what has landed already; NotOnline for what has not."""
        away = NotOnline(f"the exam lies on {self.name}: open it in the portal to bring it here")
        try:
            with self.through.dicomweb(
                path, method=method, params=params, headers=headers, passing=passing
            ) as answer:
                if answer.status_code == NOT_HERE:
                    raise away
                yield answer
        except NotFound:
            raise away from None

    def store(
        self,
        path: str,
        content: Iterable[bytes],
        headers: Mapping[str, str],
        *,
        study: str | None = None,
    ) -> AbstractContextManager[httpx.Response]:
        """Refuse: what is stored belongs on a node of ours."""
        raise Refused(f"{self.name} takes no objects from the portal")

    def reject(
        self, path: str, params: Mapping[str, Any] | None = None
    ) -> AbstractContextManager[httpx.Response]:
        """Refuse: it is not ours."""
        raise Refused(f"{self.name} is not ours: reject the exam there")

    def header(self, sop_uid: str) -> dict[str, Any]:
        """Return every element of an instance that has landed."""
        return self.through.header(sop_uid)

    def fetch(self, study_uid: str) -> Iterator[dict[str, Any]]:
        """Let it send a study to its landing node (C-MOVE): yield the progress."""
        return self.through.scu_move(self.peer, "STUDY", {"StudyInstanceUID": study_uid})

    def _found(self, question: Question, keys: dict[str, str]) -> list[dict[str, Any]]:
        if question.level != "studies" and not question.study:
            raise BadQuery(f"{self.name} finds series and images of a named exam alone")
        plain = question.plain and question.limit is not None
        enough = question.offset + (question.limit or 0) if plain else MOST_ANSWERS
        limit = max(1, min(enough, MOST_ANSWERS))
        told = self.through.scu_find(self.peer, LEVELS[question.level], keys, limit=limit)
        answers = told.get("answers")
        if not isinstance(answers, list) or not all(map(question.uid_of, answers)):
            raise PeerUnreachable(f"{self.name} answered a query without the UIDs of what it found")
        return answers

    def _of_all_series(self, question: Question, params: Mapping[str, Any]) -> list[dict[str, Any]]:
        """Return the images of a study, series by series: a C-FIND names each level above."""
        above = f"studies/{question.study}/series"
        uids = [text(one, "SeriesInstanceUID") for one in self.qido(above, {})]
        whole = {name: value for name, value in params.items() if name not in {"limit", "offset"}}
        found = [one for uid in uids for one in self.qido(f"{above}/{uid}/instances", whole)]
        return wanted(question, found, self._issuer, skipped=0)


def _keys(question: Question) -> Iterator[dict[str, str]]:
    """Yield a question's keys of a C-FIND (PS3.4 C.4.1), once for each modality."""
    fields = [_keyword(one) for one in question.fields]
    returned = {one: "" for one in fields if one and one not in _NOT_ASKED}
    above = {"StudyInstanceUID": question.study, "SeriesInstanceUID": question.series}
    asked = {}
    for name, values in question.keys.items():
        keyword = _keyword(name)
        if keyword:
            asked[keyword] = _listed(values, uids=keyword.endswith("UID"))
        elif name not in _NO_KEYS:
            raise BadQuery(f"{name[:64]!r} cannot be asked of a DICOM PACS")
    named = {keyword: uid for keyword, uid in above.items() if uid}
    for modality in question.modalities or ("",):
        wish = {"ModalitiesInStudy": modality} if modality else {}
        yield {**returned, **asked, **named, **wish}


def _listed(values: list[str], *, uids: bool) -> str:
    """Return values as a C-FIND has them; UIDs may come as a list with commas."""
    told = "\\".join(values)
    return told.replace(",", "\\") if uids else told


def _keyword(name: str) -> str:
    """Return the keyword of an attribute that is named by keyword or tag ("" for neither)."""
    if tag_for_keyword(name) is not None:
        return name
    try:
        return keyword_for_tag(int(name, 16)) if len(name) == 8 else ""
    except ValueError:
        return ""
