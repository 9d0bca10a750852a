"""QIDO-RS as servers of other makers understand it, and their answers as ours look.

They differ in how several modalities are asked for, do not all know `includefield=all`, and
leave out the issuer of a Patient ID (custody rule 12).
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from pacs_common.errors import BadQuery
from pacs_common.node_client import bears_uid
from pacs_web.federation.dicom_json import TAGS, text
from pacs_web.nodes.servers.query import widened

Params = dict[str, list[str]]
Answer = dict[str, Any]
SERVICE = "/dicom-web"
RETRIEVE_URL, MODALITIES, ISSUER = "00081190", TAGS["ModalitiesInStudy"], TAGS["IssuerOfPatientID"]
UID_OF = {
    "studies": TAGS["StudyInstanceUID"],
    "series": TAGS["SeriesInstanceUID"],
    "instances": TAGS["SOPInstanceUID"],
}
RETURNED = {  # what pages show of each level, asked for by name: not every server knows "all"
    "studies": "PatientName PatientID IssuerOfPatientID PatientBirthDate PatientSex StudyDate "
    "StudyTime AccessionNumber StudyDescription ModalitiesInStudy NumberOfStudyRelatedSeries "
    "NumberOfStudyRelatedInstances InstanceAvailability StudyInstanceUID",
    "series": "Modality SeriesNumber SeriesDescription BodyPartExamined Laterality SeriesDate "
    "NumberOfSeriesRelatedInstances InstanceAvailability StudyInstanceUID SeriesInstanceUID",
    "instances": "SOPClassUID InstanceNumber NumberOfFrames Rows Columns BitsStored "
    "PhotometricInterpretation WindowCenter WindowWidth ImagePositionPatient "
    "ImageOrientationPatient StudyInstanceUID SeriesInstanceUID SOPInstanceUID",
}
_NOT_OTHERS = {"includefield", "limit", "offset", "accept", "ModalitiesInStudy", MODALITIES}
_ISSUERS = ("IssuerOfPatientID", ISSUER)
_PATH = re.compile(
    r"(?:studies/(?P<study>[0-9.]+)/(?:series/(?P<series>[0-9.]+)/)?)?"
    r"(?P<level>studies|series|instances)\Z"
)


@dataclass(frozen=True)
class Question:
    """One search: where, by what, and which of its answers are wanted."""

    level: str
    study: str
    series: str
    keys: Params
    modalities: tuple[str, ...]
    issuer: str
    fields: tuple[str, ...]
    offset: int
    limit: int | None

    @classmethod
    def of(cls, path: str, params: Mapping[str, Any]) -> Question:
        """Return what a QIDO-RS request asks; raises BadQuery."""
        where = _PATH.match(path)
        if where is None:
            raise BadQuery(f"{path[:80]!r} is nothing that is searched")
        given = {name: _texts(values) for name, values in params.items()}
        keys = {n: v for n, v in given.items() if n not in _NOT_OTHERS and n not in _ISSUERS}
        asked = [one for name in ("ModalitiesInStudy", MODALITIES) for one in given.get(name, [])]
        issuers = [one for name in _ISSUERS for one in given.get(name, [])]
        named = ",".join(given.get("includefield", [])).split(",")
        fields = [*RETURNED[where["level"]].split(), *named]
        return cls(
            level=where["level"],
            study=where["study"] or "",
            series=where["series"] or "",
            keys=keys,
            modalities=tuple(filter(None, re.split(r"[,\\]", "\\".join(asked)))),
            issuer=issuers[0] if issuers else "",
            fields=tuple(dict.fromkeys(one for one in fields if one and one != "all")),
            offset=_number(given, "offset") or 0,
            limit=_number(given, "limit"),
        )

    @property
    def plain(self) -> bool:
        """Whether the server's own list is the answer, so that its own offset can be used."""
        return len(self.modalities) < 2 and not self.issuer

    def variants(self) -> Iterator[Params]:
        """Yield the same question for one modality each: lists of them are asked in many ways."""
        for modality in self.modalities or ("",):
            wanted = {"ModalitiesInStudy": [modality]} if modality else {}
            keys = {name: [widened(one) for one in found] for name, found in self.keys.items()}
            yield {**keys, **wanted, "includefield": list(self.fields)}

    def uid_of(self, answer: Answer) -> str:
        """Return the UID by which an answer of this level is known ("" where it bears none)."""
        element = answer.get(UID_OF[self.level]) if isinstance(answer, dict) else None
        return str(element["Value"][0]) if element and bears_uid(element) else ""


def as_ours(question: Question, answer: Answer, issuer: str) -> Answer:
    """Return an answer as our nodes give it: an issuer, single modalities, our own addresses."""
    made = dict(answer)
    if question.level == "studies" and not text(made, "IssuerOfPatientID"):
        made[ISSUER] = {"vr": "LO", "Value": [issuer]}
    if modalities := text(made, "ModalitiesInStudy"):
        made[MODALITIES] = {"vr": "CS", "Value": [*filter(None, re.split(r"[,\\]", modalities))]}
    made.pop(RETRIEVE_URL, None)
    if address := _address(question, made):
        made[RETRIEVE_URL] = {"vr": "UR", "Value": [f"{SERVICE}/{address}"]}
    return made


def wanted(
    question: Question, answers: Iterable[Answer], issuer: str, *, skipped: int
) -> list[Answer]:
    """Return the answers of a foreign server, each once and as ours; of the asked issuer alone.

    `skipped` is how many of those before the offset the server left out itself.
    """
    by_uid = {question.uid_of(one): one for one in answers}
    found = [as_ours(question, one, issuer) for one in by_uid.values()]
    if question.issuer and question.level == "studies":
        found = [one for one in found if text(one, "IssuerOfPatientID") == question.issuer]
    start = question.offset - skipped
    return found[start:] if question.limit is None else found[start : start + question.limit]


def _address(question: Question, answer: Answer) -> str:
    uids = {
        "studies": text(answer, "StudyInstanceUID") or question.study,
        "series": text(answer, "SeriesInstanceUID") or question.series,
        "instances": text(answer, "SOPInstanceUID"),
    }
    levels = list(UID_OF)[: list(UID_OF).index(question.level) + 1]
    return "/".join(f"{one}/{uids[one]}" for one in levels) if all(map(uids.get, levels)) else ""


def _texts(values: Any) -> list[str]:
    return [str(one) for one in values] if isinstance(values, (list, tuple)) else [str(values)]


def _number(given: Params, name: str) -> int | None:
    told = given.get(name, [""])[-1]
    if not told:
        return None
    if not (told.isascii() and told.isdigit() and len(told) < 10):
        raise BadQuery(f"{name} must be a whole number")
    return int(told)
