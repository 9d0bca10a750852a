"""An index of many studies without files: what queries are measured and planned on.

Ten years of a hospital with invented people; the same seed makes the same rows.
"""

from __future__ import annotations

import io
import json
import random
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from itertools import islice
from typing import Any

from django.core.management.color import no_style
from django.db import connection, models, transaction
from django.db.models import Max

from dicom_node.config import CONFIG
from dicom_node.index.attributes import Level, columns_of
from dicom_node.models import Instance, Series, Study
from dicom_node.sampleday.identity import REFERRERS, drawn_name

ROOT = "1.2.826.0.1.3680043.10.1361.77"
FIRST_DAY, DAYS = date(2016, 7, 1), 3653
ROWS_AT_ONCE = 2000
STUDIES_A_PATIENT = 3
_SPREAD = 7919  # a prime: the visits of one person lie years apart
_CLASSES = {"CT": "2", "MR": "4", "CR": "1", "US": "6.1", "XA": "12.1", "MG": "1.2", "NM": "20"}
_SHARES = {"CR": 45, "CT": 25, "US": 15, "MR": 10, "MG": 3, "XA": 1, "NM": 1}
_REGIONS = ["Thorax", "Abdomen", "Crâne", "Rachis", "Genou", "Épaule", "Bassin", "Main", "Hanche"]
_SHOWN = {"BitsAllocated": "16", "BitsStored": "12", "PhotometricInterpretation": "MONOCHROME2"}


@dataclass(frozen=True)
class Made:
    """How many rows were added."""

    studies: int
    series: int
    instances: int


def make(
    studies: int,
    instances_per_study: int,
    seed: int = 1,
    progress: Callable[[int], None] = lambda done: None,
) -> Made:
    """Add studies with their series and instances to the index; two series where there is room."""
    first = {model: (model.objects.aggregate(last=Max("id"))["last"] or 0) + 1 for model in _ALL}
    a_study = 2 if instances_per_study > 1 else 1
    rng = random.Random(seed)  # noqa: S311 - made people, no secrets
    for start in range(0, studies, ROWS_AT_ONCE):
        numbers = range(start, min(start + ROWS_AT_ONCE, studies))
        made = [_study(number, studies, seed, rng, instances_per_study) for number in numbers]
        with transaction.atomic():
            _insert(
                Study, ({**s, "id": first[Study] + n} for n, s in zip(numbers, made, strict=True))
            )
            _insert(Series, _series(made, numbers, first, a_study, instances_per_study))
            _insert(Instance, _instances(made, numbers, first, a_study, instances_per_study))
        progress(numbers.stop)
    _reset_sequences()
    return Made(studies, studies * a_study, studies * instances_per_study)


_ALL = (Study, Series, Instance)


def _study(
    number: int, studies: int, seed: int, rng: random.Random, instances: int
) -> dict[str, Any]:
    """Return a study's columns; studies arrive in the order of their days, people come back."""
    person = number * _SPREAD % (studies // STUDIES_A_PATIENT + 1)
    own = random.Random(f"{seed}/{person}")  # noqa: S311 - a person is the same at each visit
    name, sex = drawn_name(own)
    born = date(1925, 1, 1) + timedelta(days=own.randrange(33000))
    day = FIRST_DAY + timedelta(days=number * DAYS // studies)
    [modality] = rng.choices(list(_SHARES), list(_SHARES.values()))
    texts = {
        "StudyInstanceUID": f"{ROOT}.{seed}.{number + 1}",
        "PatientName": name,
        "PatientID": f"FR-{seed:02d}{person:07d}",
        "IssuerOfPatientID": CONFIG.default_issuer,
        "PatientBirthDate": f"{born:%Y%m%d}",
        "PatientSex": sex,
        "StudyDate": f"{day:%Y%m%d}",
        "StudyTime": f"{rng.randrange(7, 20):02d}{rng.randrange(60):02d}{rng.randrange(60):02d}",
        "AccessionNumber": f"A{seed:02d}{number:08d}",
        "StudyID": str(number % 10000),
        "StudyDescription": f"{modality} {rng.choice(_REGIONS)}",
        "ReferringPhysicianName": rng.choice(REFERRERS),
        "InstitutionName": "CHI Fréjus - Saint-Raphaël",
    }
    size = instances << 19
    return columns_of(lambda path: texts.get(path, ""), {Level.PATIENT, Level.STUDY}) | {
        "modalities": modality if instances == 1 else "\\".join(sorted((modality, "SR"))),
        "series_count": 2 if instances > 1 else 1,
        "instance_count": instances,
        "size_bytes": size,
        "online_bytes": size,
        "revision": instances,
        "last_arrival_at": datetime(day.year, day.month, day.day, 20, tzinfo=UTC),
    }


def _series(
    made: list[dict[str, Any]],
    numbers: range,
    first: dict[type[models.Model], int],
    a_study: int,
    instances: int,
) -> Iterator[dict[str, Any]]:
    for number, study in zip(numbers, made, strict=True):
        main = next(part for part in study["modalities"].split("\\") if part != "SR")
        for place, modality in enumerate([main, "SR"][:a_study]):
            texts = {
                "SeriesInstanceUID": f"{study['uid']}.{place + 1}",
                "Modality": modality,
                "SeriesNumber": str(place + 1),
                "SeriesDescription": "Compte rendu de dose" if place else "Série 1",
                "SeriesDate": study["study_date"],
                "SeriesTime": study["study_time"],
            }
            yield columns_of(lambda path, texts=texts: texts.get(path, ""), {Level.SERIES}) | {
                "id": first[Series] + number * a_study + place,
                "study_id": first[Study] + number,
                "instance_count": 1 if place else instances - a_study + 1,
            }


def _instances(
    made: list[dict[str, Any]],
    numbers: range,
    first: dict[type[models.Model], int],
    a_study: int,
    instances: int,
) -> Iterator[dict[str, Any]]:
    for number, study in zip(numbers, made, strict=True):
        main = next(part for part in study["modalities"].split("\\") if part != "SR")
        day = study["last_arrival_at"]
        for place in range(instances):
            in_report = a_study > 1 and place == instances - 1
            series = first[Series] + number * a_study + int(in_report)
            kind = "88.67" if in_report else _CLASSES[main]
            yield {
                "id": first[Instance] + number * instances + place,
                "series_id": series,
                "uid": f"{study['uid']}.{int(in_report) + 1}.{place + 1}",
                "sop_class": f"1.2.840.10008.5.1.4.1.1.{kind}",
                "transfer_syntax": "1.2.840.10008.1.2.1",
                "number": place + 1,
                "rows": 512,
                "columns": 512,
                "shown": _SHOWN,
                "hour": f"{day:%Y/%m/%d/%H}",
                "arrived_at": day,
                "size_bytes": 1 << 19,
                "received_sha256": "0" * 64,
                "stored_sha256": "0" * 64,  # nothing is left to the chores
                "pixel_sha256": "0" * 64,
                "routed": True,
            }


def _insert(model: type[models.Model], rows: Iterable[dict[str, Any]]) -> None:
    """Insert rows in bulk (COPY on PostgreSQL); what a row does not say is its field's default."""
    fields = model._meta.concrete_fields
    defaults = [_prepared(field, field.get_default()) for field in fields]
    position = {field.attname: number for number, field in enumerate(fields)}

    def filled(row: dict[str, Any]) -> list[Any]:
        values = list(defaults)
        for name, value in row.items():
            is_plain = type(value) in (str, int)
            values[position[name]] = value if is_plain else _prepared(fields[position[name]], value)
        return values

    prepared = map(filled, rows)
    names = ", ".join(f'"{field.column}"' for field in fields)
    table = model._meta.db_table
    with connection.cursor() as cursor:
        if connection.vendor == "postgresql":
            while batch := list(islice(prepared, ROWS_AT_ONCE)):
                cursor.copy_expert(f"COPY {table} ({names}) FROM STDIN", _text(batch))
        else:
            places = ", ".join(["%s"] * len(fields))
            cursor.executemany(f"INSERT INTO {table} ({names}) VALUES ({places})", prepared)  # noqa: S608


def _prepared(field: models.Field[Any, Any], value: Any) -> Any:
    return field.get_db_prep_save(value, connection=connection)


def _text(rows: list[list[Any]]) -> io.StringIO:
    """Return rows as COPY's text format."""
    lines = ("\t".join(map(_cell, row)) + "\n" for row in rows)
    return io.StringIO("".join(lines))


def _cell(value: Any) -> str:
    if value is None:
        return "\\N"
    text = json.dumps(value.adapted) if hasattr(value, "adapted") else str(value)
    return text.translate(_ESCAPED)


_ESCAPED = str.maketrans({"\\": "\\\\", "\t": "\\t", "\n": "\\n", "\r": "\\r"})


def _reset_sequences() -> None:
    with connection.cursor() as cursor:
        for statement in connection.ops.sequence_reset_sql(no_style(), _ALL):
            cursor.execute(statement)
