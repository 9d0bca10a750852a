"""C-GET and C-MOVE of what is damaged, or evicted."""

from __future__ import annotations

import pytest
from pydicom.dataset import Dataset
from pynetdicom import evt

from dicom_node.dimse.scu import outgoing, plan
from dicom_node.models import Instance, RecallRequest
from pacs_common.availability import Availability
from tests.node.dimse_peers import known_as, storage
from tests.node.objects import SERIES, STUDY, ct, put_away, real_file
from tests.node.retrieve.callers import GET, MOVE, Answer, calling, stored_path, study

pytestmark = pytest.mark.slow  # real peers, real waiting


def _flip(path):
    content = bytearray(path.read_bytes())
    content[-3] ^= 1
    path.write_bytes(content)


def _cut(path):
    path.write_bytes(path.read_bytes()[:-2])


@pytest.mark.parametrize("harm", [_flip, _cut, lambda path: path.unlink()])
@pytest.mark.parametrize("whole_bytes", [8 << 20, 64])
def test_a_file_that_is_not_what_arrived_is_never_sent_and_is_flagged(
    caller, take, monkeypatch, harm, whole_bytes
):
    monkeypatch.setattr(outgoing, "WHOLE_BYTES", whole_bytes)
    for number in (1, 2):
        take(ct(number))
    row = Instance.objects.get(uid=f"{SERIES}.1")
    harm(stored_path(row))
    last = caller.ask(GET, study())[-1]
    assert last.status == 0xB000
    assert last.failed == [f"{SERIES}.1"]
    assert "damaged" in last.comment
    assert [ds.SOPInstanceUID for ds in caller.kept] == [f"{SERIES}.2"]
    row.refresh_from_db()
    assert row.damaged


def test_a_file_known_as_damaged_is_not_sent(caller, take):
    take(ct(1))
    Instance.objects.update(damaged=True)
    (last,) = [a for a in caller.ask(GET, study()) if a.status != 0xFF00]
    assert (last.status, last.failed) == (0xA702, [f"{SERIES}.1"])
    assert caller.kept == []


def test_a_long_file_is_streamed_and_comes_back_equal(caller, take, monkeypatch):
    monkeypatch.setattr(outgoing, "WHOLE_BYTES", 1000)
    monkeypatch.setattr(outgoing, "CHUNK_BYTES", 700)
    sent = ct(1)
    take(sent)
    assert caller.ask(GET, study())[-1].status == 0x0000
    assert Dataset(caller.kept[0]) == sent


@pytest.mark.parametrize("whole_bytes", [8 << 20, 64])
def test_an_odd_deflated_data_set_leaves_padded(server, real, monkeypatch, whole_bytes):
    monkeypatch.setattr(outgoing, "WHOLE_BYTES", whole_bytes)
    content, syntax = real_file("image_dfl.dcm")
    assert len(content) % 2
    real("image_dfl.dcm")
    row = Instance.objects.get()
    lengths = []
    with storage(syntax, classes=(row.sop_class,)) as found, known_as("DEST", found.port):
        found.on_store = lambda event: lengths.append(len(event.request.DataSet.getvalue())) or 0
        with calling(server.port) as caller:
            named = study("IMAGE", SOPInstanceUID=row.uid)
            assert caller.ask(MOVE, named, "DEST")[-1].status == 0x0000
    assert lengths == [len(content) + 1]


def test_the_digest_of_the_whole_file_counts_once_it_is_known(caller, take, layout):
    take(ct(1))
    Instance.objects.update(stored_sha256="0" * 64)
    assert caller.ask(GET, study())[-1].status == 0xA702
    assert Instance.objects.get().damaged


def test_instances_that_are_away_are_counted_listed_and_asked_for(caller, take, layout):
    for number in (1, 2):
        take(ct(number))
    put_away(layout, f"{SERIES}.2")
    answers = caller.ask(GET, study())
    assert answers[0].counts == (1, 1, 0, 0)
    assert (answers[-1].status, answers[-1].counts) == (0xB000, (None, 1, 1, 0))
    assert answers[-1].failed == [f"{SERIES}.2"]
    request = RecallRequest.objects.get()
    assert (request.study_uid, request.requested_by) == (STUDY, "C-GET from WS1")


def test_where_everything_is_away_nothing_could_be_done(caller, take, layout):
    take(ct(1))
    put_away(layout, f"{SERIES}.1")
    with known_as("DEST", 1):  # nobody is called for nothing
        last = caller.move()[-1]
    assert (last.status, last.failed) == (0xA702, [f"{SERIES}.1"])
    assert "recall" in last.comment


def test_what_is_evicted_in_the_middle_of_a_move_is_asked_for_too(
    caller, take, layout, destination, monkeypatch
):
    monkeypatch.setattr(plan, "BATCH_ROWS", 1)
    take(ct(1))
    take(ct(2))
    take(ct(3))

    def store(event: evt.Event) -> int:
        if event.request.AffectedSOPInstanceUID == f"{SERIES}.1":
            put_away(layout, f"{SERIES}.3")
        return 0x0000

    destination.on_store = store
    last = caller.move()[-1]
    assert (last.status, last.failed) == (0xB000, [f"{SERIES}.3"])
    assert RecallRequest.objects.get().study_uid == STUDY


def test_what_comes_back_within_the_waiting_time_is_sent(caller, take, layout, patience):
    patience(recall_wait_s=20.0)
    for number in (1, 2, 3):
        take(ct(number))
    kept = {n: stored_path(Instance.objects.get(uid=f"{SERIES}.{n}")) for n in (2, 3)}
    contents = {n: path.read_bytes() for n, path in kept.items()}
    put_away(layout, f"{SERIES}.2", f"{SERIES}.3")
    answers = []
    asked = caller.association.send_c_get(study(), GET)
    for status, identifier in asked:
        answers.append(Answer(status, identifier))
        if len(answers) == 2:  # it waits now, and says so
            assert answers[1].counts == (2, 1, 0, 0)
            for number, path in kept.items():
                path.write_bytes(contents[number])
            Instance.objects.update(availability=Availability.ONLINE)
    assert (answers[-1].status, answers[-1].counts) == (0x0000, (None, 3, 0, 0))
    assert len(caller.kept) == 3
