"""What the query benchmark asks of every peer: questions with about as many answers each."""

from __future__ import annotations

import contextlib
import random
import sqlite3
from bisect import bisect_left, bisect_right
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import psycopg2
from pydicom.dataset import Dataset

from tests.support.data_sets import EXPLICIT, encoded
from tests.support.raw_association import (
    RawAssociation,
    command_set,
    data_pdus,
    element,
    p_data,
    ui,
    us,
)

STUDY_ROOT = "1.2.840.10008.5.1.4.1.2.2.1"
C_FIND_RQ, PENDING = 0x0020, {0xFF00, 0xFF01}
RETURNED = (
    "PatientName",
    "PatientID",
    "PatientBirthDate",
    "PatientSex",
    "StudyInstanceUID",
    "StudyDate",
    "StudyTime",
    "AccessionNumber",
    "StudyDescription",
)
ANSWERS = 27  # about as many for each question, however many studies there are
Keys = dict[str, str]


@dataclass(frozen=True)
class Held:
    """A study as the index has it: what questions are made of."""

    patient_id: str
    name_key: str
    day: str
    accession: str
    modality: str


def held_studies(database_url: str, index: Path) -> list[Held]:
    """Return the studies of a node's index, ordered by date."""
    statement = (
        "SELECT patient_id, patient_name_key, study_date, accession_number, modalities"
        " FROM dicom_node_study ORDER BY study_date"
    )
    with contextlib.closing(
        psycopg2.connect(database_url) if database_url else sqlite3.connect(index)
    ) as database:
        cursor = database.cursor()
        cursor.execute(statement)
        return [Held(*row[:4], modality=row[4].split("\\")[0]) for row in cursor.fetchall()]


def questions(studies: list[Held], count: int, seed: int = 1) -> dict[str, list[Keys]]:
    """Return `count` questions of each of the five kinds."""
    rng = random.Random(seed)
    names = sorted(study.name_key for study in studies)
    days = [study.day for study in studies]
    makers: dict[str, Callable[[], Keys]] = {
        "patient ID": lambda: {"PatientID": rng.choice(studies).patient_id},
        "name prefix": lambda: {"PatientName": _prefix(names, rng)},
        "date": lambda: {"StudyDate": _days(days, rng, ANSWERS)},
        "accession number": lambda: {"AccessionNumber": rng.choice(studies).accession},
        "modality + date": lambda: {
            "ModalitiesInStudy": "CT",
            "StudyDate": _days(days, rng, 4 * ANSWERS),
        },
    }
    return {kind: [make() for _ in range(count)] for kind, make in makers.items()}


def _days(days: list[str], rng: random.Random, wanted: int) -> str:
    """Return a range of whole days with about so many studies: one day of a large index.

    `days` are the studies' days in order.
    """
    start = bisect_left(days, rng.choice(days[: max(1, len(days) - 2 * wanted)]))
    end = start
    while end < len(days):
        following = bisect_right(days, days[end])
        if end > start and following - start - wanted > wanted - (end - start):
            break
        end = following
    return f"{days[start]}-{days[end - 1]}"


def _prefix(names: list[str], rng: random.Random) -> str:
    """Return the shortest beginning of some name that has no more than ANSWERS answers."""
    name = rng.choice(names)
    for length in range(1, len(name) + 1):
        beginning = name[:length]
        last = bisect_left(names, beginning + "\U0010ffff")
        if last - bisect_left(names, beginning) <= ANSWERS:
            break
    return f"{beginning}*"


class _Buffered(RawAssociation):
    """Reads ahead, so that the client costs little beside the peer."""

    def __init__(self, port: int) -> None:
        super().__init__(port, timeout_s=120)
        self._file = self.socket.makefile("rb", 1 << 17)

    def _exactly(self, length: int) -> bytes:
        return self._file.read(length)


class Asker:
    """One association that asks by C-FIND; the same client for every peer."""

    def __init__(self, port: int) -> None:
        self._association = _Buffered(port)
        self._association.associate((1, STUDY_ROOT, (EXPLICIT,)))
        self._last = 0

    def close(self) -> None:
        """Close the association's socket."""
        self._association.socket.close()

    def request(self, keys: Keys) -> bytes:
        """Return a request as it goes on the wire."""
        ds = Dataset()
        ds.QueryRetrieveLevel = "STUDY"
        for keyword in RETURNED:
            setattr(ds, keyword, "")
        for keyword, value in keys.items():
            setattr(ds, keyword, value)
        self._last = self._last % 65535 + 1
        command = command_set(
            element(0x0002, ui(STUDY_ROOT)),
            element(0x0100, us(C_FIND_RQ)),
            element(0x0110, us(self._last)),
            element(0x0700, us(0)),
            element(0x0800, us(1)),
        )
        parts = [p_data(1, command, command=True, last=True), *data_pdus(1, [encoded(ds)])]
        return b"".join(parts)

    def ask(self, request: bytes) -> int:
        """Send a request and read its answers to the last; returns how many there were."""
        self._association.send(request)
        count = 0
        while (status := self._association.answer().status) in PENDING:
            count += 1
        if status != 0:
            raise RuntimeError(f"C-FIND ended with status 0x{status:04X}")
        return count


def objects(database: Path) -> Iterator[bytes]:
    """Yield each instance of a node's SQLite index as a small object without pixels, encoded."""
    statement = (
        "SELECT i.uid, i.sop_class, i.number, se.uid, se.modality, se.number, st.uid,"
        " st.patient_name, st.patient_id, st.birth_date, st.sex, st.study_date, st.study_time,"
        " st.accession_number, st.description, st.referring_physician, st.study_id"
        " FROM dicom_node_instance i JOIN dicom_node_series se ON se.id = i.series_id"
        " JOIN dicom_node_study st ON st.id = se.study_id"
    )
    keywords = (
        "SOPInstanceUID SOPClassUID InstanceNumber SeriesInstanceUID Modality SeriesNumber"
        " StudyInstanceUID PatientName PatientID PatientBirthDate PatientSex StudyDate StudyTime"
        " AccessionNumber StudyDescription ReferringPhysicianName StudyID"
    ).split()
    with contextlib.closing(sqlite3.connect(database, check_same_thread=False)) as index:
        for row in index.execute(statement):
            ds = Dataset()
            ds.SpecificCharacterSet = "ISO_IR 192"
            for keyword, value in zip(keywords, row, strict=True):
                setattr(ds, keyword, value)
            yield encoded(ds)
