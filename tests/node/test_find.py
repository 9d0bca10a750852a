"""C-FIND over real associations: pynetdicom and DCMTK ask, the node answers."""

from __future__ import annotations

import json
import re
import subprocess
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from pydicom.dataset import Dataset
from pydicom.uid import ExplicitVRLittleEndian, ImplicitVRLittleEndian
from pynetdicom import AE, build_context
from pynetdicom.association import Association
from pynetdicom.pdu_primitives import SOPClassExtendedNegotiation

from dicom_node.config import CONFIG
from dicom_node.dimse.scp import find as finding
from dicom_node.dimse.server.port import DicomServer
from dicom_node.sampleday.sample_index import make
from dicom_node.store.layout import Layout
from tests.node.objects import SERIES, STUDY, ct
from tests.support.services import require

pytestmark = pytest.mark.slow

PATIENT_ROOT = "1.2.840.10008.5.1.4.1.2.1.1"
STUDY_ROOT = "1.2.840.10008.5.1.4.1.2.2.1"
OTHER = f"{STUDY}9"
ALL_BYTES = b"\1\1\1\1\1\1\1"
Found = tuple[list[Dataset], list[int]]


@contextmanager
def association(
    server: DicomServer, extended: bytes = b"", syntax: str = ExplicitVRLittleEndian
) -> Iterator[Association]:
    """An association of pynetdicom's with both roots of C-FIND."""
    ae = AE("WORKSTATION")
    items = []
    for root in (PATIENT_ROOT, STUDY_ROOT) if extended else ():
        item = SOPClassExtendedNegotiation()
        item.sop_class_uid, item.service_class_application_information = root, extended
        items.append(item)
    contexts = [build_context(root, syntax) for root in (PATIENT_ROOT, STUDY_ROOT)]
    asked = ae.associate(
        "127.0.0.1", server.port, contexts, ae_title=CONFIG.ae_title, ext_neg=items
    )
    assert asked.is_established
    yield asked
    asked.release()


def identifier(level: str, **keys: object) -> Dataset:
    ds = Dataset()
    ds.QueryRetrieveLevel = level
    for keyword, value in keys.items():
        setattr(ds, keyword, value)
    return ds


@pytest.fixture
def ask(server: DicomServer) -> Callable[..., Found]:
    """Ask by C-FIND; returns (answers, statuses)."""

    def ask(
        level: str,
        root: str = STUDY_ROOT,
        extended: bytes = b"",
        syntax: str = ExplicitVRLittleEndian,
        **keys: object,
    ) -> Found:
        with association(server, extended, syntax) as asked:
            answers = list(asked.send_c_find(identifier(level, **keys), root))
        found = [ds for _, ds in answers if ds is not None]
        return found, [status.Status for status, _ in answers]

    return ask


def test_a_study_is_found_by_every_root_and_syntax(take, ask):
    take(ct(1))
    for root in (PATIENT_ROOT, STUDY_ROOT):
        for syntax in (ImplicitVRLittleEndian, ExplicitVRLittleEndian):
            (found,), statuses = ask(
                "STUDY", root, syntax=syntax, PatientID="FR-1", PatientName="", StudyDate=""
            )
            assert (found.PatientID, found.StudyDate) == ("FR-1", "20260105")
            assert found.QueryRetrieveLevel == "STUDY"
            assert found.StudyInstanceUID == STUDY
            assert (found.RetrieveAETitle, found.InstanceAvailability) == ("ARGENS_CT", "ONLINE")
            assert statuses == [0xFF00, 0x0000]


@pytest.mark.parametrize(
    ("root", "level", "keys"),
    [
        (PATIENT_ROOT, "PATIENT", {"PatientID": "FR-1"}),
        (PATIENT_ROOT, "STUDY", {"PatientID": "FR-1"}),
        (PATIENT_ROOT, "STUDY", {"PatientName": "lefevre*"}),
        (STUDY_ROOT, "STUDY", {"StudyInstanceUID": STUDY}),
        (STUDY_ROOT, "SERIES", {"StudyInstanceUID": STUDY, "Modality": "CT"}),
        (PATIENT_ROOT, "IMAGE", {"StudyInstanceUID": STUDY, "SeriesInstanceUID": SERIES}),
    ],
)
def test_each_level_is_asked_under_the_keys_above_it(take, ask, root, level, keys):
    take(ct(1))
    found, statuses = ask(level, root, **keys)
    assert len(found) == 1
    assert statuses == [0xFF00, 0x0000]


@pytest.mark.parametrize(
    ("level", "keys"),
    [
        ("SERIES", {"Modality": "CT"}),
        ("SERIES", {"StudyInstanceUID": [STUDY, OTHER]}),
        ("IMAGE", {"StudyInstanceUID": STUDY}),
        ("IMAGE", {"StudyInstanceUID": STUDY, "SeriesInstanceUID": "*"}),
    ],
)
def test_a_relational_query_is_refused_unless_it_was_agreed(take, ask, level, keys):
    take(ct(1))
    found, statuses = ask(level, **keys)
    assert (found, statuses) == ([], [0xA900])
    found, statuses = ask(level, extended=ALL_BYTES, **keys)
    assert len(found) == 1


def test_extended_negotiation_is_answered_byte_by_byte(server):
    for asked, agreed in (
        (b"\1", b"\1"),
        (b"\1\1\1", b"\1\1\1"),
        (b"\0\1\0\1", b"\0\1\0\1"),
        (ALL_BYTES, b"\1\1\1\1\0\1\1"),
        (ALL_BYTES + b"\1", b"\1\1\1\1\0\1\1"),
    ):
        with association(server, asked) as made:
            assert made.acceptor.sop_class_extended[STUDY_ROOT] == agreed


@pytest.mark.parametrize("level", ["PATIENT", "EXAM", ""])
def test_a_level_that_the_root_lacks_is_refused_in_one_line(ask, level):
    assert ask(level, STUDY_ROOT, PatientID="FR-1") == ([], [0xA900])


def test_nonsense_is_refused_with_its_reason(server):
    with association(server) as asked:
        ((status, _),) = asked.send_c_find(identifier("STUDY", StudyDate="soon"), STUDY_ROOT)
    assert status.Status == 0xA900
    assert "StudyDate" in status.ErrorComment


def test_date_and_time_match_apart_unless_combined(take, ask):
    """PS3.4 C.2.2.2.5: from the 1st 18:00 to the 2nd 08:00, agreed, is one night."""
    for number, (day, time) in enumerate(
        [("20260101", "120000"), ("20260101", "230000"), ("20260102", "070000")]
    ):
        uid = f"{STUDY}{number}"
        take(ct(1, study=uid, series=f"{uid}.1", StudyDate=day, StudyTime=time))
    keys = {"StudyDate": "20260101-20260102", "StudyTime": "070000-200000"}
    assert _times(ask("STUDY", **keys)) == ["070000", "120000"]
    assert _times(ask("STUDY", extended=b"\0\1", **keys)) == ["070000", "120000", "230000"]
    night = {"StudyDate": "20260101-20260102", "StudyTime": "180000-080000"}
    assert _times(ask("STUDY", **night)) == []
    assert _times(ask("STUDY", extended=b"\0\1", **night)) == ["070000", "230000"]


def test_a_query_may_ask_in_a_time_zone_of_its_own(take, ask):
    """Stored at 23:30 in New York on the 1st is 05:30 in Paris on the 2nd."""
    for number, (zone, day, time) in enumerate(
        [("-0500", "20260101", "233000"), (None, "20260102", "053000")]  # the node's: Paris
    ):
        uid = f"{STUDY}{number}"
        ds = ct(1, study=uid, series=f"{uid}.1", StudyDate=day, StudyTime=time)
        if zone:
            ds.TimezoneOffsetFromUTC = zone
        take(ds)
    keys = {"StudyDate": "20260102", "StudyTime": ""}
    assert len(ask("STUDY", TimezoneOffsetFromUTC="+0100", **keys)[0]) == 1
    found, _ = ask("STUDY", extended=ALL_BYTES, TimezoneOffsetFromUTC="+0100", **keys)
    assert [(ds.StudyDate, ds.StudyTime) for ds in found] == [("20260102", "053000")] * 2
    assert {ds.TimezoneOffsetFromUTC for ds in found} == {"+0100"}
    found, _ = ask("STUDY", extended=ALL_BYTES, TimezoneOffsetFromUTC="+0900", **keys)
    assert {ds.StudyTime for ds in found} == {"133000"}


@pytest.mark.parametrize("key", ["Lefebvre^Elene", "Lefaivre^Hélène", "Hélène^Lefèvre"])
def test_names_are_found_by_their_sound_where_that_was_agreed(take, ask, key):
    take(ct(1))
    take(ct(1, study=OTHER, series=f"{OTHER}.1", PatientID="FR-2", PatientName="Durand^Paul"))
    assert ask("STUDY", PatientName=key)[0] == []
    found, _ = ask("STUDY", extended=b"\0\0\1", PatientName=key)
    assert [ds.StudyInstanceUID for ds in found] == [STUDY]


def test_absent_values_are_asked_for_by_two_quotation_marks(take, ask):
    take(ct(1))
    take(ct(1, study=OTHER, series=f"{OTHER}.1", AccessionNumber=""))
    assert ask("STUDY", AccessionNumber='""')[0] == []
    found, _ = ask("STUDY", extended=ALL_BYTES, AccessionNumber='""')
    assert [ds.StudyInstanceUID for ds in found] == [OTHER]


def test_several_values_are_any_of_them_and_all_of_them_where_that_was_agreed(take, ask):
    take(ct(1))
    take(ct(1, series=f"{SERIES}.2", Modality="SR"))
    take(ct(1, study=OTHER, series=f"{OTHER}.1", Modality="CT"))
    both = {"ModalitiesInStudy": ["CT", "SR"]}
    assert len(ask("STUDY", **both)[0]) == 2
    found, _ = ask("STUDY", extended=ALL_BYTES, **both)
    assert [ds.StudyInstanceUID for ds in found] == [STUDY]


def request_item(step: str, procedure: str, accession: str) -> Dataset:
    item = Dataset()
    item.ScheduledProcedureStepID, item.RequestedProcedureID = step, procedure
    item.AccessionNumber = accession
    return item


def test_keys_in_a_sequence_are_matched_and_answered_as_a_sequence(take, ask):
    items = [request_item("S1", "P1", "A1"), request_item("S2", "P2", "")]
    take(ct(1, RequestAttributesSequence=items))
    take(ct(1, series=f"{SERIES}.2", RequestAttributesSequence=[request_item("S3", "P3", "A3")]))
    asked = request_item("S2", "", "")
    (found,), statuses = ask("SERIES", StudyInstanceUID=STUDY, RequestAttributesSequence=[asked])
    assert found.SeriesInstanceUID == SERIES
    told = [
        (item.ScheduledProcedureStepID, item.RequestedProcedureID, item.AccessionNumber)
        for item in found.RequestAttributesSequence
    ]
    assert told == [("S1", "P1", "A1"), ("S2", "P2", "")]
    assert statuses == [0xFF00, 0x0000]


def test_an_empty_sequence_asks_for_the_whole_of_it(take, ask):
    code = Dataset()
    code.CodeValue, code.CodingSchemeDesignator = "ZBQK002", "CCAM"
    code.CodeMeaning = "Radiographie du thorax"
    take(ct(1, ProcedureCodeSequence=[code]))
    (found,), _ = ask("STUDY", StudyInstanceUID=STUDY, ProcedureCodeSequence=[])
    (item,) = found.ProcedureCodeSequence
    assert (item.CodeValue, item.CodeMeaning) == ("ZBQK002", "Radiographie du thorax")


@pytest.mark.parametrize("syntax", [ImplicitVRLittleEndian, ExplicitVRLittleEndian])
def test_numbers_in_binary_are_matched(take, ask, syntax):
    take(ct(1))
    above = {"StudyInstanceUID": STUDY, "SeriesInstanceUID": SERIES, "syntax": syntax}
    for rows, count in ((16, 1), (512, 0), ([512, 16], 1), (None, 1)):
        assert len(ask("IMAGE", Rows=rows, **above)[0]) == count, rows


def test_other_ids_and_the_birth_name_of_a_patient_are_searchable(take, ask):
    other = Dataset()
    other.PatientID, other.IssuerOfPatientID = "TLN-7", "TOULON"
    take(
        ct(
            1,
            OtherPatientIDs=["OLD-1", "OLD-2"],
            OtherPatientIDsSequence=[other],
            PatientBirthName="Béraud^Hélène",
        )
    )
    inside = Dataset()
    inside.PatientID = "TLN-7"
    for keys in (
        {"OtherPatientIDs": "OLD-2"},
        {"PatientBirthName": "BERAUD*"},
        {"OtherPatientIDsSequence": [inside]},
        {"IssuerOfPatientID": "FREJUS"},
    ):
        assert len(ask("STUDY", **keys)[0]) == 1, keys
    assert ask("STUDY", OtherPatientIDs="OLD")[0] == []
    assert ask("STUDY", PatientBirthName="LEFEVRE*")[0] == []


def test_counts_classes_and_modalities_come_with_the_level(take, ask):
    take(ct(1))
    take(ct(2))
    take(ct(1, series=f"{SERIES}.2", Modality="SR", SOPClassUID="1.2.840.10008.5.1.4.1.1.88.67"))
    take(ct(1, study=OTHER, series=f"{OTHER}.1"))
    counts = {
        "NumberOfPatientRelatedStudies": None,
        "NumberOfPatientRelatedSeries": None,
        "NumberOfPatientRelatedInstances": None,
    }
    (patient,), statuses = ask("PATIENT", PATIENT_ROOT, PatientID="FR-1", **counts)
    assert [patient[keyword].value for keyword in counts] == [2, 3, 4]
    keys = {"SOPClassesInStudy": "1.2.840.10008.5.1.4.1.1.88.67", "ModalitiesInStudy": ""}
    (study,), statuses = ask("STUDY", NumberOfStudyRelatedInstances=None, **keys)
    assert study.ModalitiesInStudy == ["CT", "SR"]
    assert len(study.SOPClassesInStudy) == 2
    assert study.NumberOfStudyRelatedInstances == 3
    assert statuses == [0xFF00, 0x0000]


def test_an_unsupported_optional_key_is_told_by_the_pending_status(take, ask):
    take(ct(1))
    (found,), statuses = ask("STUDY", PatientID="FR-1", PatientReligiousPreference="")
    assert statuses == [0xFF01, 0x0000]
    assert "PatientReligiousPreference" not in found


@pytest.mark.parametrize(
    ("charset", "key", "said"),
    [
        ("ISO_IR 100", "Lefèvre^Hélène", "ISO_IR 100"),
        ("ISO_IR 192", "LEFÈVRE^hélène", "ISO_IR 192"),
        ("ISO_IR 101", "Lefevre^Helene", "ISO_IR 192"),  # Latin-2 has no è
        ("GB18030", "Lefèvre^Hélène", "GB18030"),
        (None, "LE-FEVRE^HELENE", "ISO_IR 192"),
    ],
)
def test_an_answer_names_its_own_character_set(take, ask, charset, key, said):
    take(ct(1))
    keys = {"SpecificCharacterSet": charset} if charset else {}
    (found,), _ = ask("STUDY", PatientName=key, **keys)
    assert found.SpecificCharacterSet == said
    assert str(found.PatientName) == "Lefèvre^Hélène"


@pytest.mark.parametrize(
    ("charset", "name", "key"),
    [
        (["", "ISO 2022 IR 87"], "Yamada^Tarou=山田^太郎=やまだ^たろう", "=山田*"),
        (["", "ISO 2022 IR 149"], "Hong^Gildong=洪^吉洞=홍^길동", "=洪^吉洞"),
        ("GB18030", "Zhang^XiaoDong=张^小东", "=张*"),
        ("ISO_IR 144", "Жуков^Юлия", "жуков*"),
        ("ISO_IR 126", "Διονυσιος", "διονυσιος"),
    ],
)
def test_names_in_other_scripts_are_asked_and_answered_in_their_set(take, ask, charset, name, key):
    take(ct(1, SpecificCharacterSet=charset, PatientName=name, StudyDescription="CT"))
    (found,), _ = ask("STUDY", SpecificCharacterSet=charset, PatientName=key)
    assert found.SpecificCharacterSet == charset
    assert str(found.PatientName) == name
    (found,), _ = ask("STUDY", SpecificCharacterSet="ISO_IR 192", PatientName=key)
    assert str(found.PatientName) == name


def test_a_key_without_a_set_is_read_by_the_peers_fallback(take, server):
    take(ct(1))
    ds = identifier("STUDY", PatientID="")
    ds.add_new("PatientName", "UN", "Lefèvre*".encode("latin-1"))
    with association(server) as asked:
        answers = list(asked.send_c_find(ds, STUDY_ROOT))
    assert [status.Status for status, _ in answers] == [0xFF00, 0x0000]


def test_a_cancel_stops_before_the_next_batch(db, server, monkeypatch):
    make(studies=2000, instances_per_study=1)
    with association(server) as asked:
        answers = asked.send_c_find(identifier("STUDY", PatientID=""), STUDY_ROOT, msg_id=7)
        statuses = []
        for status, _ in answers:
            statuses.append(status.Status)
            if len(statuses) == 5:
                asked.send_c_cancel(7, query_model=STUDY_ROOT)
    assert statuses[-1] == 0xFE00
    assert len(statuses) < 2000


def test_thousands_of_matches_come_whole(db, ask):
    make(studies=700, instances_per_study=1)
    found, statuses = ask("STUDY", PatientID="")
    assert len({ds.StudyInstanceUID for ds in found}) == 700
    assert statuses[-1] == 0x0000


def test_a_query_is_audited_with_its_keys_and_its_peer(take, ask):
    take(ct(1))
    ask("STUDY", PatientID="FR-1", StudyDate="")
    lines = [
        json.loads(line)
        for file in Layout(CONFIG.data_dir).audit.glob("*.jsonl")
        for line in file.read_text().splitlines()
    ]
    noted = [line for line in lines if line["kind"] == "query"][-1]
    assert noted["ae_title"] == "WORKSTATION"
    assert noted["address"] == "127.0.0.1"
    assert noted["keys"] == {"PatientID": "FR-1"}
    assert (noted["level"], noted["answers"], noted["status"]) == ("STUDY", 1, "0x0000")


@pytest.mark.parametrize("flags", [["-S"], ["-P"], ["-S", "-xi"]])
def test_dcmtks_findscu_finds(take, server, tmp_path, flags):
    take(ct(1))
    argv = [require("findscu"), "-v", *flags, "-aec", CONFIG.ae_title, "-X", "-od", str(tmp_path)]
    keys = ["QueryRetrieveLevel=STUDY", "PatientName=lefevre*", "StudyInstanceUID", "StudyDate"]
    argv += [part for key in keys for part in ("-k", key)]
    done = subprocess.run(
        [*argv, "127.0.0.1", str(server.port)], capture_output=True, text=True, timeout=30
    )
    assert done.returncode == 0, done.stderr
    assert len(list(Path(tmp_path).glob("rsp*"))) == 1
    assert re.search(r"Received Final Find Response \(Success\)", done.stdout + done.stderr)


def test_an_over_long_patient_id_is_kept_and_found_by_its_beginning(take, ask):
    long_id = "X" * 5000
    take(ct(1, PatientID=long_id))
    (found,), _ = ask("STUDY", PatientID="XXXXXX*")
    assert len(found.PatientID) == 255
    assert len(ask("STUDY", PatientID=found.PatientID)[0]) == 1


def _times(answer: Found) -> list[str]:
    return sorted(str(ds.StudyTime) for ds in answer[0])


def test_the_batch_between_two_looks_for_a_cancel_is_short():
    assert finding.BATCH_ANSWERS <= 100
