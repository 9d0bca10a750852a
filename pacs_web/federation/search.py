"""Searches studies on many nodes and merges their answers by Study Instance UID."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from pacs_web.federation.dicom_json import Attributes
from pacs_web.federation.fan_out import Failure, fan_out
from pacs_web.federation.merging import Row
from pacs_web.federation.server import Server
from pacs_web.federation.study import Study, merged, study_of

LIMIT_A_NODE = 200


@dataclass(frozen=True)
class SearchResult:
    """What the network answered: studies, who did not answer, and whose answer was cut."""

    studies: list[Study]
    failures: list[Failure]
    cut: list[str]
    limit: int = LIMIT_A_NODE


def search(nodes: Sequence[Server], query: Mapping[str, str], deadline_s: float) -> SearchResult:
    """Ask `nodes` for the studies that match `query` (QIDO-RS parameters), newest first.

    Own nodes answer in the order of study date, newest first, so what a node's limit cuts
    off is the oldest.
    """
    params: dict[str, Any] = {**query, "limit": LIMIT_A_NODE}
    gathered = fan_out(nodes, lambda node: _ask(node, params), deadline_s)
    return SearchResult(
        studies=flag_conflicts(merge(gathered.answers.values())),
        failures=gathered.failures,
        cut=[name for name, found in gathered.answers.items() if len(found) >= LIMIT_A_NODE],
    )


def _ask(node: Server, params: Mapping[str, Any]) -> list[Study]:
    answers: list[Attributes] = node.qido("studies", params)
    return [study_of(node.name, answer) for answer in answers]


def merge(answers: Iterable[Iterable[Study]]) -> list[Study]:
    """Return one row for each Study Instance UID, newest first."""
    by_uid: dict[str, Study] = {}
    for studies in answers:
        for study in studies:
            known = by_uid.get(study.uid)
            by_uid[study.uid] = study if known is None else merged(known, study)
    found = sorted(by_uid.values(), key=lambda study: study.uid)
    return sorted(found, key=lambda study: (study.date, study.time), reverse=True)


def studies_of(rows: Iterable[Row]) -> list[Study]:
    """Return the studies of a page, the best copy of each, with all that hold it."""
    found = []
    for row in rows:
        best, *_ = row.copies
        found.append(replace(study_of(best, row.copies[best]), nodes=tuple(row.copies)))
    return flag_conflicts(found)


def flag_conflicts(studies: list[Study]) -> list[Study]:
    """Mark the studies of one patient key whose birth date, sex or family name disagree."""
    said: dict[tuple[str, str], set[tuple[str, str, str]]] = {}
    for study in studies:
        if study.patient_key is not None:
            said.setdefault(study.patient_key, set()).add(_identity(study))
    return [
        replace(study, conflict=_disagree(said.get(study.patient_key or ("", ""), set())))
        for study in studies
    ]


def _identity(study: Study) -> tuple[str, str, str]:
    family = study.patient_name.partition("^")[0].strip().casefold()
    return study.birth_date, study.sex, family


def _disagree(identities: set[tuple[str, str, str]]) -> bool:
    """Whether two of them differ where both say something."""
    return any(len({part for part in parts if part}) > 1 for parts in zip(*identities, strict=True))
