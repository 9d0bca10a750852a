"""C-GET and C-MOVE: what comes back, and how it is counted."""

from __future__ import annotations

import pytest
from pydicom.dataset import Dataset
from pynetdicom import evt

from dicom_node.dimse.scu.delivery import Delivered
from dicom_node.dimse.scu.outgoing import Item
from dicom_node.dimse.scu.tally import Tally
from dicom_node.models import Instance
from tests.node.objects import SERIES, STUDY, ct
from tests.node.retrieve.callers import GET, PATIENT_GET, study

pytestmark = pytest.mark.slow  # real peers, real waiting


def test_get_brings_every_instance_back_equal_and_counts_each(caller, take):
    sent = [ct(1), ct(2), ct(3)]
    for ds in sent:
        take(ds)
    answers = caller.ask(GET, study())
    assert [answer.status for answer in answers] == [0xFF00] * 3 + [0x0000]
    assert [answer.counts for answer in answers] == [
        (2, 1, 0, 0),
        (1, 2, 0, 0),
        (0, 3, 0, 0),
        (None, 3, 0, 0),
    ]
    assert [Dataset(got) for got in caller.kept] == [Dataset(ds) for ds in sent]


def test_each_answer_of_a_get_comes_before_the_next_object(caller, take):
    for number in (1, 2, 3, 4):
        take(ct(number))
    Instance.objects.filter(uid=f"{SERIES}.2").update(damaged=True)
    came = []

    def note(event: evt.Event) -> None:
        message = event.message
        came.append((type(message).__name__, message.command_set.get("Status")))

    caller.association.bind(evt.EVT_DIMSE_RECV, note)
    assert caller.ask(GET, study())[-1].counts == (None, 3, 1, 0)
    an_object, pending = ("C_STORE_RQ", None), ("C_GET_RSP", 0xFF00)
    assert came == [
        *(an_object, pending),
        pending,
        *(an_object, pending) * 2,
        ("C_GET_RSP", 0xB000),
    ]


def test_move_sends_every_instance_and_names_who_asked(caller, take, destination):
    sent = [ct(1), ct(2)]
    for ds in sent:
        take(ds)
    answers = caller.move()
    assert [answer.counts for answer in answers] == [(1, 1, 0, 0), (0, 2, 0, 0), (None, 2, 0, 0)]
    assert answers[-1].status == 0x0000
    assert destination.associations == 1
    for request in destination.requests:
        assert request.MoveOriginatorApplicationEntityTitle == "WS1"
        assert request.MoveOriginatorMessageID == 1
    assert [Dataset(ds) for ds in destination.kept] == sent


@pytest.mark.parametrize(
    ("level", "keys", "expected"),
    [
        ("STUDY", {"StudyInstanceUID": STUDY}, 3),
        ("STUDY", {"StudyInstanceUID": f"{STUDY}\\{STUDY}.9"}, 4),
        ("SERIES", {"StudyInstanceUID": STUDY, "SeriesInstanceUID": SERIES}, 2),
        ("IMAGE", {"SOPInstanceUID": f"{SERIES}.1\\{SERIES}.2"}, 2),
        ("STUDY", {"StudyInstanceUID": "1.2.3.4"}, 0),
    ],
)
def test_a_retrieve_names_studies_series_or_images(caller, take, level, keys, expected):
    for ds in (ct(1), ct(2), ct(1, series=f"{SERIES}9")):
        take(ds)
    take(ct(1, study=f"{STUDY}.9", series=f"{SERIES}.9"))
    last = caller.ask(GET, study(level, **keys))[-1]
    assert (last.status, last.counts) == (0x0000, (None, expected, 0, 0))
    assert len(caller.kept) == expected


@pytest.mark.parametrize(("issuer", "expected"), [(None, 2), ("FREJUS", 1), ("CD", 1)])
def test_a_patient_is_retrieved_by_id_and_issuer(caller, take, issuer, expected):
    take(ct(1))
    take(ct(1, study=f"{STUDY}.9", series=f"{SERIES}.9", IssuerOfPatientID="CD"))
    named = study("PATIENT", PatientID="FR-1")
    if issuer is not None:
        named.IssuerOfPatientID = issuer
    last = caller.ask(PATIENT_GET, named)[-1]
    assert (last.status, last.counts[1]) == (0x0000, expected)


@pytest.mark.parametrize(
    ("model", "wrong"),
    [
        (GET, study(PatientID="FR-1")),
        (GET, study("PATIENT", PatientID="FR-1")),
        (GET, study("NONSENSE")),
        (GET, study("SERIES", StudyInstanceUID=STUDY)),
        (PATIENT_GET, study("PATIENT", PatientID="FR*")),
    ],
)
def test_a_retrieve_without_its_unique_key_is_refused(caller, take, model, wrong):
    take(ct())
    (answer,) = caller.ask(model, wrong)
    assert answer.status == 0xA900
    assert answer.comment
    assert caller.kept == []


def test_counts_beyond_what_an_answer_can_hold_stop_at_its_limit():
    tally = Tally(100_000, completed=80_000)
    assert tally.remaining == 20_000
    assert tally.counts(0xFF00)["NumberOfCompletedSuboperations"] == 65535


@pytest.mark.parametrize(
    ("statuses", "final"),
    [
        ([0x0000, 0x0000], 0x0000),
        ([0x0000, 0xB000], 0xB000),
        ([0xB007], 0xB000),
        ([0x0000, 0xA700], 0xB000),
        ([0xC000, 0xA700], 0xA702),
        ([], 0x0000),
    ],
)
def test_the_final_status_follows_the_sub_operations(statuses, final):
    tally = Tally(len(statuses))
    for status in statuses:
        tally.count(Delivered(Item("", "1.2", "", None), status))
    assert tally.status == final
    assert tally.remaining == 0


def test_warnings_and_failures_of_the_destination_are_counted_and_listed(caller, take, destination):
    for number in (1, 2, 3):
        take(ct(number))
    answers_with = {f"{SERIES}.1": 0x0000, f"{SERIES}.2": 0xB007, f"{SERIES}.3": 0xA700}
    destination.on_store = lambda event: answers_with[event.request.AffectedSOPInstanceUID]
    last = caller.move()[-1]
    assert last.status == 0xB000
    assert last.counts == (None, 1, 1, 1)
    assert last.failed == [f"{SERIES}.3"]
    assert "0xB007" in last.comment
