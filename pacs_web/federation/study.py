"""Studies and series as the network knows them: one of each, on one node or several."""

from __future__ import annotations

from dataclasses import dataclass, replace

from pacs_common.availability import Availability
from pacs_web.federation.dicom_json import Attributes, person, text, values, whole

NO_PICTURES = {  # modalities whose series have no thumbnail
    "SR", "KO", "PR", "DOC", "RTSTRUCT", "RTPLAN", "RTRECORD", "ECG", "HD", "EPS", "AU", "REG",
    "PLAN", "FID", "RWV", "M3D", "ANN", "ASMT", "TEXTUREMAP", "STAIN",
}  # fmt: skip
PLACEHOLDER_IDS = {"", "0", "UNKNOWN", "ANONYMOUS", "ANON", "NONE", "N/A", "NA"}


@dataclass(frozen=True)
class Series:
    """One series, and the node whose copy is shown."""

    uid: str
    node: str
    number: int | None
    modality: str
    description: str
    body_part: str
    laterality: str
    instances: int
    availability: Availability

    @property
    def pictured(self) -> bool:
        """Whether its objects can have thumbnails: no report, plan or waveform has."""
        return self.modality not in NO_PICTURES


@dataclass(frozen=True)
class Study:
    """One study; `nodes` holds every node that has (a part of) it, the best copy first."""

    uid: str
    patient_name: str
    patient_id: str
    issuer: str
    birth_date: str
    sex: str
    date: str
    time: str
    accession: str
    description: str
    modalities: tuple[str, ...]
    series: int
    instances: int
    availability: Availability
    nodes: tuple[str, ...]
    conflict: bool = False

    @property
    def patient_key(self) -> tuple[str, str] | None:
        """Return (issuer, ID), or None where the ID is a placeholder that names nobody."""
        if self.patient_id.upper() in PLACEHOLDER_IDS:
            return None
        return self.issuer, self.patient_id

    @property
    def online(self) -> bool:
        """Whether every image can be shown at once."""
        return self.availability is Availability.ONLINE


def study_of(node: str, answer: Attributes) -> Study:
    """Return the study of one QIDO-RS answer of `node`."""
    return Study(
        uid=text(answer, "StudyInstanceUID"),
        patient_name=person(answer, "PatientName"),
        patient_id=text(answer, "PatientID"),
        issuer=text(answer, "IssuerOfPatientID"),
        birth_date=text(answer, "PatientBirthDate"),
        sex=text(answer, "PatientSex"),
        date=text(answer, "StudyDate"),
        time=text(answer, "StudyTime"),
        accession=text(answer, "AccessionNumber"),
        description=text(answer, "StudyDescription"),
        modalities=tuple(str(value) for value in values(answer, "ModalitiesInStudy")),
        series=whole(answer, "NumberOfStudyRelatedSeries") or 0,
        instances=whole(answer, "NumberOfStudyRelatedInstances") or 0,
        availability=availability_of(answer),
        nodes=(node,),
    )


def series_of(node: str, answer: Attributes) -> Series:
    """Return the series of one QIDO-RS answer of `node`."""
    return Series(
        uid=text(answer, "SeriesInstanceUID"),
        node=node,
        number=whole(answer, "SeriesNumber"),
        modality=text(answer, "Modality"),
        description=text(answer, "SeriesDescription"),
        body_part=text(answer, "BodyPartExamined"),
        laterality=text(answer, "Laterality"),
        instances=whole(answer, "NumberOfSeriesRelatedInstances") or 0,
        availability=availability_of(answer),
    )


def availability_of(answer: Attributes) -> Availability:
    """Return the Instance Availability; a server that does not say is taken to be online."""
    try:
        return Availability(text(answer, "InstanceAvailability") or "ONLINE")
    except ValueError:
        return Availability.UNAVAILABLE


def better(one: Study, other: Study) -> Study:
    """Return the copy that is opened first: the more complete, then the more available."""
    rank = list(Availability).index
    ours, theirs = (
        (one.instances, -rank(one.availability)),
        (
            other.instances,
            -rank(other.availability),
        ),
    )
    return other if theirs > ours else one


def merged(one: Study, other: Study) -> Study:
    """Return one study for two nodes' answers about it, the better copy leading."""
    best = better(one, other)
    rest = other if best is one else one
    modalities = best.modalities + tuple(m for m in rest.modalities if m not in best.modalities)
    return replace(best, nodes=best.nodes + rest.nodes, modalities=modalities)
