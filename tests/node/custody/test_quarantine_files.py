"""Quarantined objects are archived like all else: listed in the manifest, given as files."""

from __future__ import annotations

import hashlib

import pytest

from dicom_node.custody import quarantine
from dicom_node.index import withheld
from dicom_node.models import Quarantined, Study
from dicom_node.store.journal import KEPT, Journal
from tests.node.custody.plans import URL, plan_for
from tests.node.objects import SERIES, STUDY, ct


@pytest.fixture
def held(study, take):
    """The row of an object that waits in quarantine beside its study."""
    take(ct(1, PixelData=bytes(512)))
    return Quarantined.objects.get()


def listed(archive):
    return archive("custody.read", study=STUDY).get(URL).json()["quarantine"]


def fetched(archive, row, **bound):
    address = f"/api/custody/quarantine/{row.uid}/{row.received_sha256}"
    return archive("custody.read", **bound).get(address)


def whole(answer):
    assert answer.status_code == 200
    return b"".join(answer.streaming_content)


def test_the_manifest_lists_what_waits_with_both_digests(held, archive, layout):
    content = layout.quarantined(held.hour, held.uid, held.received_sha256).read_bytes()
    assert listed(archive) == [
        {
            "uid": f"{SERIES}.1",
            "received_sha256": held.received_sha256,
            "stored_sha256": hashlib.sha256(content).hexdigest(),
            "size_bytes": len(content),
            "reason": "same-uid",
            "detail": held.detail,
            "arrived_at": held.arrived_at.isoformat(),
            "decision": "",
        }
    ]


def test_the_file_is_given_byte_for_byte(held, archive, layout):
    content = layout.quarantined(held.hour, held.uid, held.received_sha256).read_bytes()
    answer = fetched(archive, held, study=STUDY)
    assert whole(answer) == content
    assert answer["ETag"].strip('"') == hashlib.sha256(content).hexdigest()


def test_a_file_is_hashed_once(held, archive, monkeypatch):
    before = listed(archive)

    def again(path):
        raise AssertionError("hashed again")

    monkeypatch.setattr("dicom_node.store.part10.file_sha256", again)
    assert listed(archive) == before


def test_what_was_decided_is_listed_and_given_as_before(held, archive, layout):
    quarantine.keep(layout, held, "tester", "")
    assert [one["decision"] for one in listed(archive)] == ["kept"]
    assert whole(fetched(archive, held))


def test_each_arrival_in_quarantine_and_each_decision_is_a_revision(held, take, layout):
    def revision():
        study = Study.objects.get(uid=STUDY)
        assert study.prepared_revision in (0, study.revision)  # its pictures stay prepared
        return study.revision

    assert revision() == 4
    take(ct(1, PixelData=bytes(512)))  # the same again
    assert revision() == 4
    Study.objects.update(prepared_revision=4)
    take(ct(1, PixelData=b"1" * 512))
    assert revision() == 5
    quarantine.keep(layout, held, "tester", "")
    assert revision() == 6
    held.refresh_from_db()
    quarantine.undo(layout, held, "tester", "")
    assert revision() == 7


def test_a_decision_is_in_the_journal_before_its_revision_is_told(held, layout, monkeypatch):
    """Else the archive would prove that revision, and never ask for the decision."""
    seen = []
    real = withheld.revise
    monkeypatch.setattr(
        withheld,
        "revise",
        lambda uid: seen.append([r["kind"] for r in Journal(layout.journal).read()]) or real(uid),
    )
    quarantine.keep(layout, held, "tester", "")
    assert seen[-1][-1] == KEPT


def test_an_eviction_leaves_what_lies_in_quarantine(held, evict, archive, layout):
    quarantine.keep(layout, held, "tester", "")
    study = Study.objects.get(uid=STUDY)
    answer = evict(plan_for(study)).json()
    assert len(answer["evicted"]) == 3
    assert layout.quarantined(held.hour, held.uid, held.received_sha256).exists()
    assert whole(fetched(archive, held))


def test_an_object_that_gave_its_place_is_told_by_its_own_digest(held, archive, layout):
    before = listed(archive)[0]["stored_sha256"]
    quarantine.take(layout, held, "tester", "")
    replaced = Quarantined.objects.get()
    answer = fetched(archive, replaced)
    content = whole(answer)
    assert answer["ETag"].strip('"') == hashlib.sha256(content).hexdigest() != before


def test_a_lost_file_is_listed_no_more_than_it_is_given(held, archive, layout):
    layout.quarantined(held.hour, held.uid, held.received_sha256).unlink()
    assert listed(archive) == []
    assert fetched(archive, held).status_code == 404


def test_a_ticket_for_another_study_opens_none(held, archive):
    assert fetched(archive, held, study="1.2.3").status_code == 403
