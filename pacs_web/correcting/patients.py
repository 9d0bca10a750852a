"""Patients whom an exam may belong to, found by their exams on all servers."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from json import dumps

from pacs_web import config
from pacs_web.federation.fan_out import Failure
from pacs_web.federation.search import search
from pacs_web.federation.server import Server
from pacs_web.federation.study import Study

MOST = 30


@dataclass
class Patient:
    """A patient and how many exams were found."""

    study: Study
    exams: int = 0

    @property
    def packed(self) -> str:
        """The identity as the form takes it back."""
        one = self.study
        return dumps(
            {
                "PatientName": one.patient_name,
                "PatientID": one.patient_id,
                "IssuerOfPatientID": one.issuer,
                "PatientBirthDate": one.birth_date,
                "PatientSex": one.sex,
                "OtherPatientIDs": "",
            }
        )


def found(
    servers: Sequence[Server], query: Mapping[str, str]
) -> tuple[list[Patient], list[Failure]]:
    """Return the patients whom a query finds, by name, and the servers that did not answer."""
    result = search(servers, query, config.NODE_TIMEOUT_S)
    patients: dict[tuple[str, str], Patient] = {}
    for study in result.studies:
        if study.patient_key is not None:
            patients.setdefault(study.patient_key, Patient(study)).exams += 1
    ordered = sorted(patients.values(), key=lambda one: one.study.patient_name)
    return ordered[:MOST], result.failures
