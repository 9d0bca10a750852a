"""What a study counts of instances that are evicted and rejected."""

from __future__ import annotations

import io

from django.utils import timezone

from dicom_node.custody import evict as evict_module
from dicom_node.custody import recall
from dicom_node.index import rebuild, rejections
from dicom_node.models import Instance, Study
from dicom_node.store.journal import REJECTED, Journal
from tests.node.custody.plans import path_of, plan_for
from tests.node.objects import SERIES, STUDY, put_away


def reject(*uids: str) -> None:
    intent = rejections.Intent(
        f"{STUDY}.77", STUDY, "113001", "", "somebody", "node", timezone.now()
    )
    with rejections.held(rejections.begin(intent, uids)) as rejection:
        rejections.hide(rejection)


def test_what_is_rejected_while_it_is_recalled_is_not_counted_as_shown(study, layout):
    uids = [f"{SERIES}.1", f"{SERIES}.2"]
    content = path_of(layout, uids[0]).read_bytes()
    put_away(layout, *uids)

    class Slow(io.BytesIO):
        def read(self, size: int = -1) -> bytes:
            if not self.tell():
                reject(uids[0])
            return super().read(size)

    row = Instance.objects.select_related("series__study").get(uid=uids[0])
    assert recall.put_back(layout, row, Slow(content), len(content), reserve_bytes=1)
    study.refresh_from_db()
    assert (study.evicted_count, study.series.get().evicted_count) == (1, 1)


def test_what_is_rejected_while_it_is_evicted_is_not_counted_as_shown(
    study, evict, layout, monkeypatch
):
    def keep_stub(*given: object) -> None:
        if not Instance.every.filter(rejected=True).exists():
            reject(f"{SERIES}.1")
        return real(*given)

    real = evict_module.keep_stub
    monkeypatch.setattr(evict_module, "keep_stub", keep_stub)
    assert len(evict(plan_for(study)).json()["evicted"]) == 3
    study.refresh_from_db()
    assert (study.evicted_count, study.series.get().evicted_count) == (2, 2)
    assert study.online_bytes == 0


def every_count() -> tuple[object, ...]:
    study = Study.objects.get()
    series = study.series.order_by("uid")
    return (
        *(study.instance_count, study.evicted_count, study.rejected_count, study.series_count),
        *(study.size_bytes, study.online_bytes, study.modalities),
        *series.values_list("uid", "instance_count", "evicted_count"),
    )


def test_what_was_rejected_and_evicted_is_counted_the_same_in_an_index_made_anew(
    study, evict, layout
):
    reject(f"{SERIES}.1")
    told = {"study_uid": STUDY, "note_uid": f"{STUDY}.77", "code": "113001", "comment": ""}
    told |= {"by": "x", "source": "node", "rejected_at": timezone.now().isoformat()}
    Journal(layout.journal).append(REJECTED, [told | {"sop_instance_uids": [f"{SERIES}.1"]}])
    plan = plan_for(study)
    hidden = Instance.every.get(uid=f"{SERIES}.1")
    named = {"sop_instance_uid": hidden.uid, "stored_sha256": hidden.stored_sha256}
    plan["instances"].append(plan["instances"][0] | named)
    assert len(evict(plan).json()["evicted"]) == 3
    before = every_count()
    assert before[:4] == (2, 2, 1, 1)
    rebuild.rebuild(layout)
    assert every_count() == before
