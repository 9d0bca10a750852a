"""Holds: what the archive forbids to leave the node stays, whatever a plan proves."""

from __future__ import annotations

import json

import pytest

from dicom_node.commitment.receipts import proven
from dicom_node.custody import evict as evict_module
from dicom_node.custody import hold as hold_module
from dicom_node.custody import quarantine, reject, reject_removal
from dicom_node.index import journaled, rebuild, rejections
from dicom_node.index.holds import Hold
from dicom_node.models import Instance, Quarantined, Rejection, Study
from dicom_node.store.journal import Journal
from tests.node.custody.plans import URL, path_of, plan_for
from tests.node.objects import SERIES, STUDY, ct
from tests.node.reject.rejected import interrupted, make_due, prove

LEGAL = {"kind": "legal", "reason": "expertise 2026/114", "by": "archivist"}


@pytest.fixture
def hold(archive):
    """Put holds: `hold(LEGAL)`, `hold()` releases."""

    def hold(*holds, study=STUDY):
        return archive("custody.hold", study=study).put(
            f"/api/custody/studies/{study}/holds",
            json.dumps({"holds": list(holds)}),
            content_type="application/json",
        )

    return hold


def kinds(layout):
    return [record["kind"] for record in journaled.of_study(Journal(layout.journal), STUDY)]


def facts(archive):
    return archive("custody.read", study=STUDY).get(URL).json()


def test_a_held_study_is_not_evicted_and_a_released_one_is(study, hold, evict, layout):
    assert hold(LEGAL).status_code == 200
    answer = evict(plan_for(study)).json()
    assert answer["evicted"] == []
    assert answer["refused"][0]["reason"] == "held: legal (expertise 2026/114)"
    assert path_of(layout, f"{SERIES}.1").exists()
    assert hold().status_code == 200
    assert len(evict(plan_for(study, "p2")).json()["evicted"]) == 3


def test_holds_stand_in_facts_and_manifest(study, hold, archive):
    hold(LEGAL)
    told = facts(archive)
    assert (told["held"], told["holds"]) == (True, [LEGAL])
    assert told["journal"][-1]["kind"] == "held"
    (row,) = archive("custody.read").get("/api/custody/studies").json()["studies"]
    assert row["holds"] == [LEGAL]


def test_a_hold_is_a_revision_and_a_change_but_prepares_nothing_anew(study, hold):
    Study.objects.update(prepared_revision=3)
    before = Study.objects.get()
    assert hold(LEGAL).json() == {"study_uid": STUDY, "holds": [LEGAL], "revision": 4}
    after = Study.objects.get()
    assert (after.revision, after.prepared_revision) == (4, 4)
    assert after.changed_at > before.changed_at
    Study.objects.update(prepared_revision=2)
    hold()
    assert Study.objects.get().prepared_revision == 2


def test_the_same_holds_again_change_nothing(study, hold, layout):
    other = LEGAL | {"kind": "teaching"}
    assert hold(LEGAL, other).json() == hold(other, LEGAL, LEGAL).json()
    assert kinds(layout) == ["held"]
    hold()
    hold()
    assert kinds(layout) == ["held", "released"]


def test_who_held_and_released_is_audited(study, hold, layout):
    hold(LEGAL)
    hold()
    lines = [line for file in layout.audit.glob("*") for line in file.read_text().splitlines()]
    held, released = (one for one in map(json.loads, lines) if one["kind"] in ("held", "released"))
    assert held["holds"] == [LEGAL] and released["by"] == "tester"


def test_holds_survive_a_reindex(study, hold, layout):
    hold(LEGAL)
    before = Study.objects.get()
    rebuild.rebuild(layout)
    after = Study.objects.get()
    assert after.holds == before.holds != ""
    hold()
    rebuild.rebuild(layout)
    assert Study.objects.get().holds == ""


def test_a_kill_between_journal_and_row_is_made_good_by_asking_again(
    study, hold, layout, monkeypatch
):
    def killed(*given, **more):
        raise KeyboardInterrupt

    monkeypatch.setattr(hold_module, "Case", killed)
    with pytest.raises(KeyboardInterrupt):
        hold_module.hold(layout, STUDY, [Hold(**LEGAL)], "tester")
    monkeypatch.undo()
    assert Study.objects.get().holds == ""
    hold(LEGAL)
    assert Study.objects.get().holds
    rebuild.rebuild(layout)
    assert Study.objects.get().holds


def test_a_hold_that_meets_an_eviction_stops_it_before_a_file_goes(
    study, hold, evict, layout, monkeypatch
):
    real = evict_module.keep_stub

    def held_meanwhile(*given):
        hold(LEGAL)
        return real(*given)

    monkeypatch.setattr(evict_module, "keep_stub", held_meanwhile)
    answer = evict(plan_for(study))
    assert (answer.status_code, "held: legal" in answer.json()["detail"]) == (409, True)
    assert all(path_of(layout, f"{SERIES}.{n}").exists() for n in (1, 2, 3))
    assert set(Instance.objects.values_list("availability", flat=True)) == {"ONLINE"}


def test_a_held_study_keeps_its_rejected_files(study, hold, layout):
    uids = [f"{SERIES}.{n}" for n in (1, 2, 3)]
    prove(layout, *uids)
    intent = interrupted(uids, Study.objects.get().last_arrival_at)
    with rejections.held(rejections.begin(intent, uids)) as rejection:
        rejections.hide(rejection)
    hold(LEGAL)
    make_due({"id": intent.note_uid})
    done = reject_removal.approve(layout, Rejection.objects.get(), "approver", proven)
    assert done["removed"] == 0
    assert {kept["reason"][:4] for kept in done["kept"]} == {"held"}
    assert reject.account(Rejection.objects.get())["removed"] == 0


def test_a_study_that_changes_its_only_object_stays_held(take, hold, layout):
    take(ct(1))
    hold(LEGAL)
    take(ct(1, PixelData=bytes(512)))
    quarantine.take(layout, Quarantined.objects.get(), "tester", "")
    assert Study.objects.get().holds


@pytest.mark.parametrize(
    "told",
    [
        None,
        "legal",
        [LEGAL] * 21,
        ["legal"],
        [{}],
        [LEGAL | {"kind": ""}],
        [LEGAL | {"reason": "x" * 501}],
        [LEGAL | {"reason": "two\nlines"}],
        [LEGAL | {"by": 7}],
    ],
)
def test_what_is_no_hold_is_bad_input(study, archive, told):
    answer = archive("custody.hold").put(
        f"{URL}/holds", json.dumps({"holds": told}), content_type="application/json"
    )
    assert answer.status_code == 400
    assert Study.objects.get().holds == ""


def test_a_study_that_is_not_here_cannot_be_held(study, hold):
    assert hold(LEGAL, study="1.2.3").status_code == 404
