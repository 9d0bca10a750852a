"""A revision that the archive was offered is never lower in an index that was made anew."""

from __future__ import annotations

from datetime import timedelta

import pytest

from dicom_node.custody import facts
from dicom_node.custody.hold import hold
from dicom_node.index import rebuild
from dicom_node.index.holds import Hold
from dicom_node.models import Instance, Study
from dicom_node.store.journal import OFFERED, REMOVED, Journal
from tests.node.objects import SERIES, STUDY, ct

LEGAL = Hold("legal", "expertise", "archivist")


@pytest.fixture
def offer(layout, monkeypatch):
    """Offer the study to the archive, as its manifest does, long after its last arrival."""

    def offer(**more):
        monkeypatch.setattr("dicom_node.index.archived.UNDER_WAY", timedelta(0))
        facts.manifest(Study.objects.get(), Journal(layout.journal))
        return Study.objects.get().revision

    return offer


def revision_after_reindex(layout):
    rebuild.rebuild(layout)
    return Study.objects.get().revision


def lose(layout, uid):
    """Let a file go as an approved removal does."""
    row = Instance.objects.get(uid=uid)
    record = {"study_uid": STUDY, "note_uid": "1.2", "sop_instance_uid": uid}
    Journal(layout.journal).append(REMOVED, [record | {"stored_sha256": row.stored_sha256}])
    layout.object(row.hour, uid).unlink()


def test_an_offered_revision_comes_back(study, layout, offer):
    hold(layout, STUDY, [LEGAL], "x")
    assert offer() == 4  # three instances and a hold
    assert revision_after_reindex(layout) == 4
    assert revision_after_reindex(layout) == 4


def test_fewer_files_do_not_lower_it(study, layout, offer):
    assert offer() == 3
    lose(layout, f"{SERIES}.3")
    assert revision_after_reindex(layout) == 3


def test_what_arrived_since_an_offer_makes_another_revision(study, layout, offer, take):
    offer()
    lose(layout, f"{SERIES}.3")
    take(ct(4))
    assert Study.objects.get().revision == 4
    assert revision_after_reindex(layout) == 4  # three files, as were offered, and not the same


def test_an_act_since_an_offer_makes_another_revision(study, layout, offer):
    offer()
    hold(layout, STUDY, [LEGAL], "x")
    assert revision_after_reindex(layout) == 4


def test_an_arrival_that_was_under_way_at_an_offer_is_not_taken_as_part_of_it(
    study, layout, offer, monkeypatch
):
    offer()
    monkeypatch.undo()
    assert revision_after_reindex(layout) == 4


def test_an_index_that_is_whole_keeps_its_revisions(study, layout, offer):
    offer()
    Journal(layout.journal).append(OFFERED, [{"study_uid": STUDY, "revision": 9}])
    rebuild.catch_up(layout, "")
    assert Study.objects.get().revision == 3


def test_an_index_that_was_lost_gets_them_at_start(study, layout, offer):
    hold(layout, STUDY, [LEGAL], "x")
    offer()
    Study.objects.all().delete()
    rebuild.catch_up(layout, "")
    row = Study.objects.get()
    assert (row.revision, bool(row.holds)) == (4, True)
